"use strict";
// Sort tables by their headings, copy texts, and download tables as CSV.

const collator = new Intl.Collator("en", { numeric: true });

function compare(one, other, numeric) {
  return numeric ? Number(one) - Number(other) : collator.compare(one, other);
}

function sortBy(table, column, descending) {
  const body = table.tBodies[0];
  const numeric = table.tHead.rows[0].cells[column].classList.contains("number");
  const valueOf = (row) => row.cells[column].dataset.value;
  const isMissing = (value) => value === "" || value === "nan";
  const rows = Array.from(body.rows);
  rows.sort((a, b) => {
    const [one, other] = [valueOf(a), valueOf(b)];
    if (isMissing(one) || isMissing(other)) return isMissing(one) - isMissing(other);
    return descending ? compare(other, one, numeric) : compare(one, other, numeric);
  });
  body.append(...rows);
}

function makeSortable(table) {
  const headings = Array.from(table.tHead.rows[0].cells);
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const descending = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((each) => each.setAttribute("aria-sort", "none"));
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sortBy(table, column, descending);
    });
  });
}

function quote(text) {
  return /[",\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}

function toCsv(table) {
  const head = Array.from(table.tHead.rows[0].cells, (cell) => cell.textContent);
  const rows = Array.from(table.tBodies[0].rows, (row) =>
    Array.from(row.cells, (cell) => cell.dataset.value));
  return [head, ...rows].map((row) => row.map(quote).join(",")).join("\n") + "\n";
}

function download(table) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([toCsv(table)], { type: "text/csv" }));
  link.download = table.id + ".csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function copy(element, button) {
  const say = (words) => {
    const before = button.textContent;
    button.textContent = words;
    setTimeout(() => { button.textContent = before; }, 1500);
  };
  const select = () => {
    getSelection().selectAllChildren(element);
    say(document.execCommand("copy") ? "Copied" : "Selected");
  };
  if (!navigator.clipboard) { select(); return; }
  navigator.clipboard.writeText(element.innerText).then(() => say("Copied"), select);
}

document.querySelectorAll("table.sortable").forEach(makeSortable);
document.querySelectorAll("button.tool").forEach((button) => {
  button.hidden = false;
  const { copy: text, csv } = button.dataset;
  button.addEventListener("click", () =>
    text ? copy(document.getElementById(text), button) : download(document.getElementById(csv)));
});
addEventListener("beforeprint", () =>
  document.querySelectorAll("details").forEach((each) => { each.open = true; }));
