// The keyboard scrolls what is wider than the page.
for (const box of document.querySelectorAll("pre, .table-wrapper, article table")) {
  if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
}

// The corruption explorer: two images and a table of errors, as the form says.
const form = document.getElementById("explorer-form");
if (form) {
  const errors = JSON.parse(document.getElementById("explorer-errors").textContent);
  const base = document.getElementById("close").src.replace(/[^/]*$/, "");

  const line = ([method, [error, std, seeds]], standard) => {
    const row = document.createElement("tr");
    row.innerHTML = "<th scope=row></th><td></td><td></td><td></td><td><span class=bar></span></td>";
    const more = standard && method != "standard" ? (error - standard[1][0]).toFixed(2) : "";
    row.cells[0].textContent = method;
    row.cells[1].textContent = error.toFixed(2) + (seeds > 1 ? ` ± ${std.toFixed(2)}` : "");
    row.cells[2].textContent = seeds;
    row.cells[3].textContent = more.replace("-", "−").replace(/^(?=[0-9])/, "+");
    row.querySelector(".bar").style.width = error + "%";
    return row;
  };

  const show = () => {
    const {corruption, severity, profile} = form.elements;
    const name = corruption.value, k = severity.value;
    form.querySelector("output").textContent = k;
    for (const [id, file] of [["close", "224.jpg"], ["far", "32.png"]]) {
      const image = document.getElementById(id);
      image.src = `${base}${name}-${k}-${file}`;
      image.alt = `The photograph of a flower under ${corruption.selectedOptions[0].text}, severity ${k}`;
    }
    const found = Object.entries((errors[profile.value][name] || {})[k] || {});
    const standard = found.find(([method]) => method == "standard");
    document.querySelector("#errors tbody").replaceChildren(...found.map(entry => line(entry, standard)));
  };

  form.addEventListener("input", show);
  show();
}
