// A type of Grafana's as its JSON is written: strings for its enumerations, without the marks of the library.
export type Plain<T> = T extends string
    ? `${T}`
    : T extends (infer U)[]
      ? Plain<U>[]
      : T extends object
        ? { [K in keyof T as K extends `_implements${string}` ? never : K]: Plain<T[K]> }
        : T;
