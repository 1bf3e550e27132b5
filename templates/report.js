"use strict";
(() => {
  const make = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };

  // Sortable tables: a heading becomes a button; the third click brings the first order back.
  const number = (text) => {
    const found = text.replace(/,/g, "").match(/^-?\d+(\.\d+)?/);
    return found ? Number(found[0]) : null;
  };
  const compare = (one, other) => {
    const [a, b] = [number(one), number(other)];
    if (a !== null && b !== null) return a - b;
    if (a !== null || b !== null) return a === null ? 1 : -1;
    return one.localeCompare(other);
  };
  const sortable = (table) => {
    const body = table.tBodies[0];
    const first = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = make("button", { type: "button", class: "sort" }, ...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const before = head.getAttribute("aria-sort");
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        const rows = [...first];
        if (before !== "descending") {
          const way = before === "ascending" ? -1 : 1;
          rows.sort((a, b) => way * compare(a.cells[column].textContent, b.cells[column].textContent));
          head.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
        }
        body.append(...rows);
      });
    });
  };
  document.querySelectorAll("table.sortable").forEach(sortable);

  // A layer's receptive field on the picture: by pointing, or with the arrow keys once a row has the focus.
  const pane = document.getElementById("pane");
  if (pane) {
    const table = document.querySelector("table.layers");
    const spots = [...pane.querySelectorAll(".spot")];
    const words = pane.querySelector(".pane-words");
    const title = pane.querySelector(".pane-layer");
    const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
    const cell = (row, name) => row.cells[heads.indexOf(name)].textContent.trim();
    const said = {
      global: () => "sees the whole image",
      unknown: () => "has no field on the image that is known",
      large: (row) => `sees ${cell(row, "Field")} px: too large to draw around the image`,
      local: (row) => `sees ${cell(row, "Field")} px, stride ${cell(row, "Stride")}`,
    };
    let current = null;
    const show = (row) => {
      if (!row || !row.dataset.kind || row === current) return;
      if (current) { current.classList.remove("current"); current.tabIndex = -1; }
      current = row;
      row.classList.add("current");
      row.tabIndex = 0;
      const drawn = row.dataset.kind === "local" || row.dataset.kind === "global";
      for (const spot of spots) {
        spot.setAttribute("visibility", drawn ? "visible" : "hidden");
        for (const name of ["x", "y", "width", "height"]) spot.setAttribute(name, row.dataset[name]);
      }
      title.textContent = cell(row, "Layer");
      words.textContent = `One unit ${said[row.dataset.kind](row)}; output ${cell(row, "Output")}.`;
    };
    const rows = () => [...table.tBodies[0].rows];
    rows().forEach((row) => { row.tabIndex = -1; });
    table.addEventListener("pointerover", (event) => show(event.target.closest("tbody tr")));
    table.addEventListener("focusin", (event) => show(event.target.closest("tbody tr")));
    table.addEventListener("click", (event) => show(event.target.closest("tbody tr")));
    table.tBodies[0].addEventListener("keydown", (event) => {
      const all = rows();
      const at = all.indexOf(event.target.closest("tr"));
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
      if (to === undefined || !all[to]) return;
      event.preventDefault();
      all[to].focus();
    });
    pane.hidden = false;
    const known = rows().filter((row) => row.dataset.kind === "local");
    show(known[Math.floor(known.length / 2)] || rows()[0]);
  }

  // The curves epoch by epoch: a slider that reads the log's rows.
  const log = document.querySelector("#log table");
  const reader = document.getElementById("reader");
  if (log && reader) {
    const heads = [...log.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
    const rows = [...log.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim()));
    const slider = make("input", { type: "range", id: "epoch", min: 1, max: rows.length, value: rows.length });
    const label = make("label", { for: "epoch" });
    const list = make("dl");
    const show = () => {
      const row = rows[slider.value - 1];
      label.textContent = `Epoch ${row[0]} of ${rows.length}`;
      slider.setAttribute("aria-valuetext", heads.map((head, index) => `${head} ${row[index]}`).join(", "));
      list.replaceChildren(...heads.slice(1).map((head, index) =>
        make("div", {}, make("dt", {}, head), make("dd", {}, row[index + 1]))));
    };
    slider.addEventListener("input", show);
    reader.append(label, slider, list);
    reader.hidden = false;
    show();
  }

  // Paper shows everything.
  const folded = () => [...document.querySelectorAll("details:not([open])")];
  let opened = [];
  window.addEventListener("beforeprint", () => { opened = folded(); opened.forEach((one) => { one.open = true; }); });
  window.addEventListener("afterprint", () => { opened.forEach((one) => { one.open = false; }); });
})();
