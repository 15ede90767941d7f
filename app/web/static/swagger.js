const dark = matchMedia("(prefers-color-scheme: dark)");
const takeScheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
takeScheme();
dark.addEventListener("change", takeScheme);

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
