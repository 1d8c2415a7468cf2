// The operator's page: asks the node for its state once a second while somebody sees it.
// What the node says is shown as text, and never as markup.

const kept = 180; // points of a chart
const every = 1000;

/** @param {string} id */
const byID = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

const size = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const bytes = (n) => (n < 1024 ? `${n} B` : n < 1 << 20 ? `${number.format(n / 1024)} KiB` : `${number.format(n / (1 << 20))} MiB`);
const time = (s) => (s < 1 ? `${number.format(s * 1000)} ms` : `${number.format(s)} s`);

// Each chart has a name, how a value is shown, and what it is of this state and the last.
const perSecond = (key) => (now, last) => (last ? (1000 * (now[key] - last[key])) / (now.time - last.time) : 0);
const charts = [
	["Sessions", size.format, (now) => now.sessions],
	["Users", size.format, (now) => now.users],
	["Publishes/s", number.format, perSecond("published")],
	["Deliveries/s", size.format, perSecond("delivered")],
	["Errors/s", number.format, perSecond("errors")],
	["Queued", bytes, (now) => now.queued],
	["Loop lag", time, (now) => Math.max(0, ...(now.lag ?? []))],
	["Catching up", size.format, (now) => now.lagging],
].map(([name, show, of]) => makeChart(name, show, of));

let key = ""; // of the operator; in memory only
let last = null;
let timer = 0;

function makeChart(name, show, of) {
	const figure = document.createElement("figure");
	const caption = document.createElement("figcaption");
	caption.textContent = name;
	const output = document.createElement("output");
	const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
	svg.setAttribute("viewBox", `0 0 ${kept - 1} 40`);
	svg.setAttribute("preserveAspectRatio", "none");
	svg.setAttribute("aria-hidden", "true");
	const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
	svg.append(line);
	figure.append(caption, output, svg);
	byID("charts").append(figure);
	const points = [];
	return (now, before) => {
		const value = Math.max(0, of(now, before));
		points.push(value);
		if (points.length > kept) points.shift();
		const top = Math.max(...points, Number.MIN_VALUE);
		const from = kept - points.length;
		line.setAttribute("points", points.map((v, i) => `${from + i},${(39 - (38 * v) / top).toFixed(1)}`).join(" "));
		output.textContent = show(value);
	};
}

/** @param {string} id @param {string[][]} rows */
function fill(id, rows) {
	const cells = rows.map((row) => {
		const tr = document.createElement("tr");
		row.forEach((text, i) => {
			const td = tr.insertCell();
			td.textContent = text;
			td.dir = "auto";
			if (i === 0) td.title = text;
			if (i > 0 && byID(id).closest("table").tHead.rows[0].cells[i].className === "number") td.className = "number";
		});
		return tr;
	});
	byID(id).replaceChildren(...cells);
}

function show(now) {
	byID("node").textContent = now.node;
	say(now.ready === "ready" ? "ready" : now.ready, now.ready === "ready" && now.connected ? "good" : "bad");
	for (const draw of charts) draw(now, last);
	fill("topics", (now.topics ?? []).map((t) => [t.name, number.format(t.size), number.format(t.rate), time(t.delay)]));
	fill("talkers", (now.talkers ?? []).map((t) => [t.name, number.format(t.size), number.format(t.rate)]));
	fill("slow", (now.slow ?? []).map((q) => [q.user, q.address, bytes(q.bytes)]));
	byID("nodes").replaceChildren(...now.nodes.map((name) => {
		const li = document.createElement("li");
		li.textContent = name;
		return li;
	}));
	byID("sign-in").hidden = true;
	byID("view").hidden = false;
	last = now;
}

function say(text, kind) {
	const state = byID("state");
	if (state.textContent !== text) state.textContent = text;
	state.className = kind;
}

async function look() {
	clearTimeout(timer);
	if (document.hidden) return; // goes on when it is seen again
	try {
		const headers = key ? { Authorization: `Bearer ${key}` } : {};
		const response = await fetch("/admin/state", { method: "POST", headers, signal: AbortSignal.timeout(10_000) });
		if (response.status === 401) return ask();
		if (!response.ok) throw new Error(`the node answered ${response.status}`);
		show(await response.json());
	} catch (error) {
		say(`no answer: ${error.message}`, "bad");
	}
	timer = setTimeout(look, every);
}

function ask() {
	say("sign in", "");
	byID("refused").textContent = key ? "This key is not known." : "";
	key = "";
	byID("view").hidden = true;
	byID("sign-in").hidden = false;
	byID("key").focus();
}

byID("sign-in").addEventListener("submit", (event) => {
	event.preventDefault();
	const input = /** @type {HTMLInputElement} */ (byID("key"));
	key = input.value;
	input.value = "";
	look();
});
document.addEventListener("visibilitychange", () => {
	last = null; // rates begin anew
	if (!document.hidden) look();
});
look();
