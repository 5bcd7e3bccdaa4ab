"use strict";
const add = (parent, name, text) => { const made = document.createElement(name); made.textContent = text; parent.append(made); return made; };
fetch("openapi.json").then(answer => answer.json()).then(api => {
  document.querySelector("#about").textContent = api.info.description + " Version " + api.info.version + ".";
  const all = document.querySelector("#paths");
  all.textContent = "";
  for (const [path, methods] of Object.entries(api.paths)) for (const [method, about] of Object.entries(methods)) {
    add(all, "h2", method.toUpperCase() + " " + path);
    add(all, "p", about.summary + (about.description ? ". " + about.description : ""));
    const form = about.requestBody?.content?.["multipart/form-data"]?.schema?.properties;
    if (form) add(all, "pre", "curl -F " + Object.keys(form)[0] + "=@photo.jpg " + location.origin + path);
    const table = add(all, "table", "");
    for (const [status, reply] of Object.entries(about.responses)) {
      const row = table.insertRow();
      row.insertCell().textContent = status;
      row.insertCell().textContent = reply.description;
    }
  }
});
