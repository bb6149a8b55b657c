// What the page does: it searches items, sends clicks of the session, and shows the answers.

const NEXT_ITEMS = 12, FOUND = 20, SIMILAR = 8, CALLS = 100, TYPING_MS = 200, MODEL_MS = 15_000;
const CHIPS = { repeat: "because you looked at it before", popularity: "popular",
  attributes: "new, by its attributes" };

const at = (id) => document.getElementById(id);
const known = new Map(); // title and image of the items that were seen
const waits = []; // milliseconds, of the last calls for next items
let session, clicked; // its id, and whether it has a click
let failing = null; // what the line of errors is about
let queue = Promise.resolve(); // clicks go one after the other: the model reads their order

// ---- The service

const path = (id) => encodeURIComponent(String(id));
const ours = () => `sessions/${path(session)}`;

// Ids beyond 2^53 would be rounded: they become BigInts.
const exact = (key, value, context) =>
  typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source)
    ? BigInt(context.source) : value;

async function ask(where, options = {}) {
  const response = await fetch(where, { cache: "no-store", ...options }).catch(() => null);
  if (!response) throw new Error("The service cannot be reached.");
  const answer = await response.text().then((text) => JSON.parse(text, exact)).catch(() => null);
  if (response.ok && (answer || response.status === 204)) return answer;
  const { status } = response;
  throw Object.assign(new Error(answer?.error ?? `The service said ${status}.`), { status });
}

async function askNext(rest, options) {
  const start = performance.now();
  const rules = at("rules").value && `&rules=${path(at("rules").value)}`;
  const answer = await ask(`${ours()}/${rest}?k=${NEXT_ITEMS}&explain=true${rules}`, options);
  waits.push(performance.now() - start);
  waits.splice(0, waits.length - CALLS);
  showSpeed();
  return answer;
}

async function learn(ids) {
  const missing = [...new Set(ids)].filter((id) => id !== null && !known.has(id));
  if (!missing.length) return;
  const { items } = await ask(`items?${missing.map((id) => `item=${path(id)}`).join("&")}`);
  for (const id of missing) known.set(id, {});
  for (const item of items) known.set(item.item_id, item);
}

// What fails is said in one line, and the page goes on; the next thing that works takes it back.
async function guard(name, work) {
  try {
    await work();
    if (failing === name || name !== "model") [failing, at("alert").textContent] = [null, ""];
  } catch (error) {
    [failing, at("alert").textContent] = [name, error.message];
  }
}

// ---- Building blocks; text from the service is only ever set as text

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null));
  return element;
}

const titleOf = (id) => known.get(id)?.title || String(id);
const plain = (number) => number.toLocaleString("en");
const three = { minimumSignificantDigits: 3, maximumSignificantDigits: 3 };
const short = (number) => number.toLocaleString("en", Number.isInteger(number) ? {} : three);
const signed = (number) => (number < 0 ? "−" : "+") + short(Math.abs(number));
const count = (number, word) => `${plain(number)} ${word}${number === 1 ? "" : "s"}`;
const date = (text) => text
  && new Date(text).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });

// The first letter lies beneath: it is seen where there is no picture, or none that loads.
function picture(id) {
  const letter = titleOf(id).match(/[\p{L}\p{N}]/u)?.[0] ?? "·";
  const box = make("span", { className: "picture", ariaHidden: "true" }, letter.toUpperCase());
  const hue = [...String(id)].reduce((sum, sign) => (sum * 31 + sign.codePointAt(0)) % 360, 7);
  box.style.setProperty("--hue", 137 * hue); // ids that are near look apart
  const image = known.get(id)?.image;
  const url = image && URL.canParse(image, document.baseURI) && new URL(image, document.baseURI);
  if (["http:", "https:"].includes(url?.protocol)) {
    const onload = ({ target }) => target.classList.add("there");
    const onerror = ({ target }) => target.remove();
    const rest = { alt: "", loading: "lazy", referrerPolicy: "no-referrer" };
    box.append(make("img", { ...rest, onload, onerror, src: url.href }));
  }
  return box;
}

function score(from, to, text) {
  const fill = make("i", { className: text.startsWith("−") ? "minus" : "" });
  fill.style.left = `${100 * from}%`;
  fill.style.width = `${100 * (to - from)}%`;
  return make("span", { className: "score" }, make("span", { className: "bar" }, fill),
    make("span", {}, text));
}

function scoreBars(scores) {
  const low = Math.min(0, ...scores);
  const span = Math.max(...scores) - low || 1;
  return scores.map((one) => score(0, (one - low) / span, short(one)));
}

const title = (id) => make("span", { className: "title" }, titleOf(id));
const names = (id) => make("span", { className: "names" }, title(id),
  known.get(id)?.title ? make("small", {}, String(id)) : null);
const row = (id, ...more) => make("li", {},
  make("button", { type: "button", onclick: () => click(id) }, picture(id), names(id), ...more));

const pairs = (list, entries) => list.replaceChildren(...entries.map(([name, value]) =>
  make("div", {}, make("dt", {}, name), make("dd", {}, value || "–"))));

// ---- Searching

let typing, searched, found = [], searches = 0;

async function search() {
  const text = at("search").value.trim();
  const turn = ++searches;
  const { items } = await ask(`items?search=${encodeURIComponent(text)}&k=${FOUND}`);
  if (turn !== searches) return;
  [searched, found] = [text, items];
  for (const item of items) known.set(item.item_id, item);
  at("results").replaceChildren(...items.map((item) => row(item.item_id)));
  at("results").scrollTop = 0;
  at("found").textContent = !items.length ? "Nothing found."
    : text ? `${count(items.length, "item")}. Enter clicks the first.` : "The most popular items";
}

at("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => guard("search", search), TYPING_MS);
});

at("search").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.repeat || event.isComposing) return;
  clearTimeout(typing);
  guard("search", async () => {
    const text = at("search").value.trim();
    if (searched !== text) await search();
    if (searched !== text || !found.length) return; // typed on, or nothing found
    click(found[0].item_id);
    at("search").select();
  });
});

at("find").addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const places = [at("search"), ...at("results").querySelectorAll("button")];
  places[places.indexOf(document.activeElement) + step]?.focus();
});

// ---- The session

const enqueue = (work) => { queue = queue.then(() => guard("session", work)); };
const ifThere = (error) => { if (error.status !== 404) throw error; }; // a session may be over

function click(id) {
  at("similar").close();
  if (at("cards").contains(document.activeElement)) at("next-title").focus();
  enqueue(async () => {
    const answer = await askNext("clicks", {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: `{"item_id": ${typeof id === "string" ? JSON.stringify(id) : id}}`,
    });
    remember(session, true);
    await Promise.all([showNext(answer, `You clicked ${titleOf(id)}. `), showHistory()]);
  });
}

function remember(id, hasClick) {
  [session, clicked] = [id, hasClick];
  sessionStorage.setItem("session", JSON.stringify({ id, clicked }));
  at("session").textContent = id;
}

const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(6)),
  (byte) => byte.toString(16).padStart(2, "0")).join("");

async function showSession() {
  await Promise.all([showNext(await askNext("recommendations"), ""), showHistory()]);
}

at("new").addEventListener("click", () => enqueue(async () => {
  if (clicked) await ask(ours(), { method: "DELETE" }).catch(ifThere);
  remember(newId(), false);
  await showSession();
}));

async function showHistory() {
  const there = clicked && await ask(ours()).catch(ifThere);
  const { items, times, unknown } = there || { items: [], times: [], unknown: 0 };
  await learn(items);
  at("no-history").hidden = items.length > 0;
  at("history").replaceChildren(...items.map((id, n) => {
    const time = times[n] === null ? "" : new Date(1000 * times[n]).toLocaleTimeString("en-GB");
    return make("li", {}, picture(id), title(id), make("small", {}, time));
  }));
  at("history").scrollTop = at("history").scrollHeight;
  at("unknown").textContent = unknown
    ? `${count(unknown, "click")} on items that the model does not know` : "";
}

// ---- The answer

at("rules").addEventListener("change", () => enqueue(showSession));

function offerRules(names) {
  if (names.length === Math.max(0, at("rules").length - 1)) return;
  at("ruled").hidden = !names.length;
  at("rules").replaceChildren(...(names.length ? ["", ...names] : [])
    .map((name) => make("option", { value: name }, name || "none")));
}

async function showNext({ items, scores, reason, passed, explain }, before) {
  await learn([...items, explain.item_id, ...explain.clicks.map((one) => one.item_id)]);
  const bars = scoreBars(scores);
  at("cards").replaceChildren(...items.map((id, n) => {
    const why = explain.reasons[n];
    const similar = { type: "button", className: "quiet",
      ariaLabel: `Similar items to ${titleOf(id)}` };
    return make("li", {},
      make("button", { type: "button", className: "pick", onclick: () => click(id) },
        make("span", { className: "rank" }, String(n + 1)), picture(id), names(id)),
      why in CHIPS ? make("span", { className: `chip ${why}` }, CHIPS[why]) : null,
      bars[n],
      make("button", { ...similar, onclick: () => guard("similar", () => showSimilar(id)) },
        "Similar items"));
  }));
  const from = reason === "model" ? "from the model" : "that are popular";
  const among = passed === undefined ? "" : `, of ${count(passed, "item")} that may be shown`;
  const order = passed === undefined ? ", the best first" : "";
  at("said").textContent = `${before}${count(items.length, "item")} ${from}${order}${among}.`;
  showWhy(explain.item_id, explain.clicks);
}

function showWhy(best, parts) {
  const explained = best !== null && parts.length > 0;
  const values = [0, ...parts.map((one) => one.influence ?? 0)];
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  at("best").replaceChildren(...(explained ? ["The best item: ", make("b", {}, titleOf(best))]
    : ["Once the model knows a click, it is explained here."]));
  at("why").replaceChildren(...(explained ? parts : []).map((one) => {
    const { influence, change, reset, update } = one;
    const ends = [-low / span, ((influence ?? 0) - low) / span].sort((a, b) => a - b);
    const figures = Object.entries({ moved: change, reset, update })
      .flatMap(([name, value]) => value == null ? [] : `${name} ${value.toFixed(2)}`);
    return make("li", {},
      make("span", { className: "title" }, `${one.position}. ${titleOf(one.item_id)}`),
      influence == null ? null : score(...ends, signed(influence)),
      make("small", {}, figures.join(" · ")));
  }));
  at("why").scrollTop = at("why").scrollHeight;
  at("meanings").hidden = !explained;
}

async function showSimilar(id) {
  const { items, scores } = await ask(`items/${path(id)}/similar?k=${SIMILAR}`);
  await learn(items);
  const bars = scoreBars(scores);
  at("similar-title").textContent = `Similar to ${titleOf(id)}`;
  at("similar-items").replaceChildren(...items.map((other, n) => row(other, bars[n])));
  at("similar").showModal();
}

// ---- Speed and model

function showSpeed() {
  const sorted = [...waits].sort((a, b) => a - b);
  const rank = (share) => `${short(sorted[Math.ceil(share * sorted.length) - 1])} ms`;
  pairs(at("speed"), [["last", `${short(waits.at(-1))} ms`], ["median", rank(0.5)],
    ["p99", rank(0.99)]]);
  const points = (waits.length > 1 ? waits : [waits[0], waits[0]])
    .map((wait, n, all) => `${(100 * n) / (all.length - 1)},${22 - (20 * wait) / sorted.at(-1)}`);
  at("line").setAttribute("points", points.join(" "));
}

function flat(value, name = "") {
  if (value === null || typeof value !== "object" || Array.isArray(value))
    return [[name, Array.isArray(value) ? value.join(", ") : String(value)]];
  return Object.entries(value).flatMap(([key, one]) => flat(one, name ? `${name}.${key}` : key));
}

async function showModel() {
  const model = await ask("model");
  offerRules(model.rules);
  at("refused").textContent = model.refused && `A newer model was refused: ${model.refused}`;
  pairs(at("model"), [["kind", model.recommender],
    ["fingerprint", make("code", { title: model.fingerprint }, model.fingerprint.slice(0, 10))],
    ["items", plain(model.items)], ["trained", date(model.trained)],
    ["loaded", date(model.loaded)]]);
  pairs(at("counts"), Object.entries(model.counts)
    .map(([name, number]) => [name.replaceAll("_", " "), plain(number)]));
  pairs(at("settings"), [...flat(model.settings), ...flat(model.versions)]);
}

// ---- The start

const kept = JSON.parse(sessionStorage.getItem("session"));
remember(kept?.id ?? newId(), kept?.clicked ?? false);
guard("search", search);
enqueue(showSession);
guard("model", showModel);
setInterval(() => document.hidden || guard("model", showModel), MODEL_MS);
