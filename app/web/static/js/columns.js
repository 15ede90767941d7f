// The column names in the first bytes of a table, to choose the target from. Only a help: the service reads the file.

const PEEK = 65536;

export async function columnNames(file) {
  const kind = /\.(csv|tsv|arff)$/i.exec(file.name)?.[1].toLowerCase();
  if (!kind) return []; // Not text.
  const start = await file.slice(0, PEEK).text();
  if (/[\0\uFFFD]/.test(start.slice(0, PEEK / 2))) return []; // Not UTF-8.
  return kind === "arff" ? arffNames(start) : headerNames(start);
}

function headerNames(text) {
  const line = text.replace(/^\uFEFF/, "").split(/\r?\n/, 1)[0];
  const separator = [",", ";", "\t", "|"].reduce((best, mark) => (count(line, mark) > count(line, best) ? mark : best));
  const cells = line.match(new RegExp(`("(?:[^"]|"")*"|[^${separator}]*)`, "g")) ?? [];
  return cells.map((cell) => cell.trim().replace(/^"(.*)"$/, "$1").replaceAll('""', '"')).filter(Boolean);
}

function arffNames(text) {
  const found = text.matchAll(/^\s*@attribute\s+(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(\S+))/gim);
  return [...found].map(([, single, double, bare]) => single ?? double ?? bare);
}

const count = (text, mark) => text.split(mark).length;
