"use strict";
// The token stays in this page's memory: nothing is stored, and it goes to this server only.
(() => {
  const app = location.pathname.replace(/\/_docs\/?$/i, "");
  const form = document.getElementById("caller");
  const field = document.getElementById("token");
  const said = document.getElementById("said");
  const MOST_UNFOLDED = 100;
  let token = "";

  const bearing = (headers) => (token ? { ...headers, Authorization: `Bearer ${token}` } : headers);

  const toThisServer = (request) => {
    if (new URL(request.url, location.href).origin === location.origin) {
      request.headers = bearing(request.headers || {});
    }
    return request;
  };

  // Descriptions come from whoever defines entities: no markup, images or links of theirs.
  const asText = (words) =>
    words.replace(/</g, "&lt;").replace(/!\[/g, "!&#91;").replace(/\]\(/g, "]&#40;").replace(/\]:/g, "]&#58;");

  const withoutMarkup = (part) => {
    for (const [name, value] of Object.entries(part)) {
      if (name === "description" && typeof value === "string") {
        part[name] = asText(value);
      } else if (value !== null && typeof value === "object") {
        withoutMarkup(value);
      }
    }
  };

  const show = async () => {
    said.textContent = "Loading …";
    let spec;
    try {
      const answer = await fetch(`${app}/_openapi.json`, { headers: bearing({}), redirect: "error" });
      spec = await answer.json();
      if (!answer.ok) {
        said.textContent = `${answer.status}: ${spec.error.message}`;
        return;
      }
    } catch (error) {
      said.textContent = `The description could not be read: ${error.message}`;
      return;
    }
    // Behind a proxy the app may stand below another path than the server knows of.
    spec.servers = [{ url: app }];
    withoutMarkup(spec);
    document.title = `${spec.info.title} API`;
    const count = Object.values(spec.paths).reduce((sum, methods) => sum + Object.keys(methods).length, 0);
    SwaggerUIBundle({
      spec,
      dom_id: "#api",
      deepLinking: false,
      defaultModelsExpandDepth: 0,
      docExpansion: count > MOST_UNFOLDED ? "none" : "list",
      filter: true,
      queryConfigEnabled: false,
      requestInterceptor: toThisServer,
      tryItOutEnabled: true,
      validatorUrl: null,
    });
    said.textContent = `${count} operations${token ? "" : " without a token"}`;
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    token = field.value.trim().replace(/^bearer\s+/i, "");
    show();
  });
  show();
})();
