"use strict";
/* Sorts tables; lists conversations by the filters that stand in the address behind "#". */
(() => {
  const PAGE = 100;
  const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const $ = (id) => document.getElementById(id);
  const element = (tag, text, attributes = {}) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.textContent = text;
    return made;
  };
  const isEmpty = (value) => value === null || value === "";
  const compare = (a, b, sign) =>
    isEmpty(a) - isEmpty(b) || (isEmpty(a) ? 0 : sign * ((a > b) - (a < b)));

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, place) => {
      const button = element("button", head.textContent, { type: "button" });
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const sign = head.ariaSort === "descending" ? 1 : -1;
        const value = (row) => {
          const text = (row.cells[place]?.textContent ?? "").trim();
          return head.classList.contains("number") ? (text === "" ? null : Number(text.replace(/,/g, ""))) : text;
        };
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.ariaSort = sign < 0 ? "descending" : "ascending";
        table.tBodies[0].append(...[...table.tBodies[0].rows].sort((a, b) => compare(value(a), value(b), sign)));
      });
    });
  }

  if (!$("list")) return;
  const { fields, rows } = JSON.parse($("rows").textContent);
  const calls = rows.map((values, place) => Object.fromEntries([["place", place], ...fields.map((name, i) => [name, values[i]])]));
  const form = $("filters");
  const heads = [...$("list").tHead.rows[0].cells];
  const plain = (text) => String(text ?? "").replaceAll("_", " ").toLowerCase();
  const clock = (sec) => (sec === null ? "" : [Math.floor(sec / 3600), Math.floor(sec / 60) % 60, Math.floor(sec) % 60]
    .map((part, i) => (i ? String(part).padStart(2, "0") : part)).join(":").replace(/^0:0?/, ""));
  const SORTED_BY = {
    matcher: (call) => Object.keys(call.matcher).length,
    missing: (call) => call.missing.length,
  };
  let shown = PAGE;
  let found = [];

  const held = (value) => (value !== null && typeof value === "object" ? (Array.isArray(value) ? value : Object.keys(value)) : [value]);
  for (const select of form.querySelectorAll("select")) {
    const values = new Map();
    for (const call of calls) for (const value of held(call[select.name])) {
      if (!isEmpty(value)) values.set(value, select.name === "agent" && call.name ? `${call.name} (${value})` : select.name === "agent" || select.name === "date" ? value : plain(value));
    }
    const named = [...values].sort((a, b) => compare(a[1], b[1], 1));
    select.append(...named.map(([value, name]) => element("option", name, { value })));
    if (named.length < 1) select.disabled = true;
  }

  /* The places of a word's conversations, from differences of five bits a letter. */
  const placesOf = (text) => {
    const places = [];
    let [at, number, shift] = [-1, 0, 0];
    for (const letter of text) {
      const digit = DIGITS.indexOf(letter);
      number |= (digit & 31) << shift;
      if (digit > 31) { shift += 5; continue; }
      at += number;
      places.push(at);
      [number, shift] = [0, 0];
    }
    return places;
  };
  let index = null;
  const loadWords = () => {
    if (document.querySelector("script[src='words.js']")) return;
    const script = element("script", "", { src: "words.js" });
    const ready = () => {
      const { words = "", places = "" } = window.words ?? {};
      index = { words: words.split(" "), places: places.split(" ") };
      draw();
    };
    script.addEventListener("load", ready);
    script.addEventListener("error", ready);
    document.head.append(script);
  };
  const holding = (query) => {
    const wanted = query.normalize("NFKC").toLowerCase().replaceAll("\u2019", "'").match(/[\p{L}\p{N}\p{M}'-]+/gu) ?? [];
    return wanted.map((word) => {
      const places = new Set(calls.filter((call) => call.id.toLowerCase().startsWith(word)).map((call) => call.place));
      const fits = /^[\x00-\x7f]*$/.test(word) ? (other) => other.startsWith(word) : (other) => other.includes(word);
      index.words.forEach((other, i) => { if (fits(other)) for (const place of placesOf(index.places[i])) places.add(place); });
      return places;
    });
  };

  const wish = () => new URLSearchParams(location.hash.slice(1));
  const fits = (call, name, value) =>
    name === "from" ? call.date !== null && call.date >= value
      : name === "to" ? call.date !== null && call.date <= value
        : held(call[name]).includes(value);
  const cells = (call) => {
    const first = element("td", "");
    first.append(element("a", call.local ?? call.id, { href: call.page, title: call.utc ? `${call.utc} UTC, ${call.id}` : call.id }), element("small", call.id.slice(0, 8)));
    const agent = element("td", call.name ?? call.agent ?? "", { "data-label": "agent" });
    const matches = element("td", "", { "data-label": "matches" });
    for (const [name, turn] of Object.entries(call.matcher)) matches.append(element("a", plain(name), { href: `${call.page}#turn-${turn}` }), " ");
    const score = call.score === null ? "" : `${call.score < 0 ? "\u25bc" : call.score > 0 ? "\u25b2" : "\u25cf"} ${call.score.toFixed(2)}`;
    const text = { team: call.team ?? "", line: plain(call.line), queue: call.queue ?? "", outcome: plain(call.outcome), length: clock(call.sec), sentiment: score };
    return [first, agent, ...Object.entries(text).map(([label, value]) => element("td", value, { "data-label": label })),
      matches, element("td", call.missing.map(plain).join(", "), { "data-label": "left out" })];
  };
  const show = () => {
    const body = $("list").tBodies[0];
    body.replaceChildren(...found.slice(0, shown).map((call) => { const row = element("tr", ""); row.append(...cells(call)); return row; }));
    $("count").textContent = `${found.length.toLocaleString("en")} of ${calls.length.toLocaleString("en")} conversations`;
    $("more").hidden = found.length <= shown;
  };
  const draw = () => {
    const wanted = wish();
    const [by, order] = (wanted.get("sort") ?? "utc.down").split(".");
    const query = wanted.get("q") ?? "";
    if (query) loadWords();
    for (const field of form.elements) if (field.name && field !== document.activeElement) field.value = wanted.get(field.name) ?? "";
    if ([...form.querySelectorAll("details select")].some((select) => select.value)) form.querySelector("details").open = true;
    const sets = query && index ? holding(query) : [];
    const filters = [...wanted].filter(([name, value]) => value && name !== "q" && name !== "sort");
    found = calls.filter((call) => sets.every((set) => set.has(call.place)) && filters.every(([name, value]) => fits(call, name, value)));
    const value = SORTED_BY[by] ?? ((call) => call[by]);
    found.sort((a, b) => compare(value(a), value(b), order === "down" ? -1 : 1));
    for (const head of heads) {
      if (head.dataset.field === by) head.ariaSort = order === "down" ? "descending" : "ascending";
      else head.removeAttribute("aria-sort");
    }
    show();
  };
  const go = (changes) => {
    const wanted = wish();
    for (const [name, value] of Object.entries(changes)) { if (value) wanted.set(name, value); else wanted.delete(name); }
    shown = PAGE;
    location.replace(`#${wanted}`);
  };
  for (const kind of ["input", "change"]) form.addEventListener(kind, (event) => go({ [event.target.name]: event.target.value }));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => { shown = PAGE; location.replace("#"); });
  heads.forEach((head) => head.firstChild.addEventListener("click", () =>
    go({ sort: `${head.dataset.field}.${head.ariaSort === "descending" ? "up" : "down"}` })));
  $("more").addEventListener("click", () => { shown += PAGE; show(); });
  window.addEventListener("hashchange", draw);
  draw();
})();
