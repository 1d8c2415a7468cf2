// The operator's page: asks the node for its state once a second while somebody sees it.
// What the node says is shown as text, and never as markup.
import { chart } from "./charts.js";
import { endTrace, trace } from "./trace.js";

const every = 1000;
const rows = 10; // of a table

/** @param {string} id */
const byID = (id) => /** @type {any} */ (document.getElementById(id));

const size = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
/** @param {number} n */
const bytes = (n) => (n < 1024 ? `${Math.round(n)} B` : n < 1 << 20 ? `${number.format(n / 1024)} KiB` : n < 1 << 30 ? `${number.format(n / (1 << 20))} MiB` : `${number.format(n / (1 << 30))} GiB`);
/** @param {number} s */
const time = (s) => (s < 1 ? `${number.format(s * 1000)} ms` : `${number.format(s)} s`);
/** @param {number} part */
const percent = (part) => `${number.format(100 * part)} %`;

// Each chart has a name, how a value is shown, and what it is of this state and the last.
const perSecond = (key) => (now, last) => (last ? (1000 * (now[key] - last[key])) / (now.time - last.time) : 0);
const charts = [
	["Sessions", size.format, (now) => now.sessions],
	["Users", size.format, (now) => now.users],
	["Publishes/s", number.format, perSecond("published")],
	["Deliveries/s", size.format, perSecond("delivered")],
	["Queued", bytes, (now) => now.queued],
	["Loop lag", time, (now) => Math.max(0, ...(now.lag ?? []))],
	["Catching up", size.format, (now) => now.lagging],
	["Errors/s", number.format, perSecond("errors")],
].map(([name, show, of]) => ({ draw: chart(byID("charts"), name, show), of }));

let key = ""; // of the operator; in memory only
let last = null;
let timer = 0;

const headers = () => (key ? { Authorization: `Bearer ${key}` } : {});

/**
 * Shows rows of a table. With a kind, the first cell traces what it names.
 * @param {string} id @param {string[][]} all @param {string} [kind]
 */
function fill(id, all, kind) {
	const body = byID(id);
	const heads = body.closest("table").tHead.rows[0].cells;
	const focused = body.contains(document.activeElement) ? document.activeElement.textContent : null;
	body.replaceChildren(...all.map((row) => {
		const tr = document.createElement("tr");
		row.forEach((text, i) => {
			const td = tr.insertCell();
			td.className = heads[i].className;
			td.dir = "auto";
			td.title = text;
			if (i > 0 || !kind) {
				td.textContent = text;
				return;
			}
			const button = document.createElement("button");
			button.className = "name";
			button.textContent = text;
			button.addEventListener("click", () => {
				trace(kind, text, headers());
				byID("trace").scrollIntoView({ block: "start" });
			});
			td.append(button);
		});
		return tr;
	}));
	if (focused !== null) [...body.querySelectorAll("button")].find((b) => b.textContent === focused)?.focus();
	if (all.length === 0) {
		const td = body.insertRow().insertCell();
		td.colSpan = heads.length;
		td.className = "none";
		td.textContent = "none";
	}
}

function show(now) {
	byID("node").textContent = now.node;
	say(now.ready === "ready" ? "ready" : now.ready, now.ready === "ready" && now.connected ? "good" : "bad");
	for (const { draw, of } of charts) draw(of(now, last));
	const topics = now.topics ?? [];
	const busy = topics.filter((t) => t.rate > 0).sort((a, b) => b.rate - a.rate);
	const large = topics.toSorted((a, b) => b.size - a.size);
	fill("busiest", busy.slice(0, rows).map((t) => [t.name, number.format(t.rate), time(t.delay)]), "topic");
	fill("topics", large.slice(0, rows).map((t) => [t.name, size.format(t.size), number.format(t.rate)]), "topic");
	fill("talkers", (now.talkers ?? []).slice(0, rows).map((t) => [t.name, number.format(t.rate), size.format(t.size)]), "user");
	fill("slow", (now.slow ?? []).slice(0, rows).map((q) => [q.user, q.address, bytes(q.bytes)]), "user");
	showHooks(now);
	byID("store").textContent = now.storeLimit > 0 ? `Messages use ${bytes(now.storeUsed)} of ${bytes(now.storeLimit)} here.` : "Messages are kept elsewhere.";
	list("alarms", alarmsOf(now));
	list("warnings", warningsOf(now));
	byID("sign-in").hidden = true;
	byID("view").hidden = false;
	last = now;
}

// Shows a list of texts, and nothing if there are none.
function list(id, texts) {
	byID(id).hidden = texts.length === 0;
	if (byID(id).textContent !== texts.join("")) byID(id).replaceChildren(...texts.map(item));
}

function item(text) {
	const li = document.createElement("li");
	li.textContent = text;
	return li;
}

// What an operator should do something about.
function alarmsOf(now) {
	const all = [];
	if (!now.connected) all.push("NATS cannot be reached: messages are not stored, and clients keep them.");
	if (!now.quorum) all.push(`No quorum: messages are not stored until more than half of the servers that keep them run.${reached(now)} Clients keep what they send.`);
	const full = now.storeLimit > 0 ? now.storeUsed / now.storeLimit : 0;
	if (full >= 0.85) all.push(`The store is ${percent(full)} full (${bytes(now.storeUsed)} of ${bytes(now.storeLimit)}).`);
	for (const h of now.hooks ?? []) if (h.state !== "closed") all.push(`The backend is not asked by the hook ${h.kind}: it gave no answers.`);
	return all;
}

// What is not as it should be, and costs nobody anything yet.
function warningsOf(now) {
	if (!now.quorum || now.reached >= now.servers) return [];
	const away = now.servers - now.reached;
	const spare = Math.ceil(now.servers / 2) - 1 - away; // more may end
	return [`${away === 1 ? "One server" : `${away} servers`} of ${now.servers} that keep the messages ${away === 1 ? "is" : "are"} away.` +
		(spare > 0 ? "" : " When another one ends, messages are not stored: start it again, or replace it.")];
}

const reached = (now) => (now.servers > 0 ? ` This node reaches ${now.reached} of ${now.servers}, itself included.` : "");

function showHooks(now) {
	const all = now.hooks ?? [];
	byID("hooks-section").hidden = all.length === 0;
	fill("hooks", all.map((h) => {
		const before = last?.hooks?.find((b) => b.kind === h.kind);
		const asked = (x) => x.allowed + x.refused + x.timeouts + x.errors;
		const answered = before ? h.answered - before.answered : h.answered;
		const seconds = before ? h.seconds - before.seconds : h.seconds;
		const rate = before ? (1000 * (asked(h) - asked(before))) / (now.time - last.time) : 0;
		return [h.kind, h.state, number.format(rate), answered > 0 ? time(seconds / answered) : "", ...[h.allowed, h.refused, h.timeouts, h.errors, h.skipped].map(size.format)];
	}));
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
		const response = await fetch("/admin/state", { method: "POST", headers: headers(), signal: AbortSignal.timeout(10_000) });
		if (response.status === 401) return ask();
		if (!response.ok) throw new Error(`the node answered ${response.status}`);
		show(await response.json());
	} catch (error) {
		say(`no answer: ${error.message}`, "bad");
	}
	timer = setTimeout(look, every);
}

// The other nodes are asked less often, and one that hangs holds up nothing else.
async function lookAtNodes() {
	if (!document.hidden && !byID("view").hidden) {
		try {
			const response = await fetch("/admin/nodes", { method: "POST", headers: headers(), signal: AbortSignal.timeout(10_000) });
			if (response.ok) showNodes(await response.json());
		} catch {
			// said by look
		}
	}
	setTimeout(lookAtNodes, 3 * every);
}

/** @type {Map<string, any>} Each node that was seen since the page was opened, and when last. */
const seen = new Map();

function showNodes(nodes) {
	for (const n of nodes) seen.set(n.name, { ...n, ...ratesOf(n, seen.get(n.name)), at: new Date() });
	const here = nodes.map(({ name }) => seen.get(name));
	const gone = [...seen.values()].filter((n) => !here.includes(n)).map((n) => ({ name: n.name, admin: n.admin, state: `gone since ${n.at.toLocaleTimeString()}`, sessions: 0, users: 0 }));
	const all = [...here, ...gone];
	fill("nodes", all.map((n) => [n.name, n.state, size.format(n.sessions), size.format(n.users), rate(n.publishes), rate(n.deliveries)]));
	showSum(here);
	all.forEach((n, i) => {
		const row = byID("nodes").rows[i];
		row.className = n.state === "ready" ? "" : "bad";
		// A loopback address of another machine would lead to this one.
		if (!n.admin || new URL(n.admin).host === location.host || i === 0) return;
		const link = document.createElement("a");
		link.href = n.admin;
		link.textContent = n.name;
		row.cells[0].replaceChildren(link);
	});
}

// What a node did since it was asked before. Its counts begin anew when it is started again.
function ratesOf(now, before) {
	const passed = now.time - before?.time;
	if (!(passed > 0)) return {};
	const of = (key) => Math.max(0, (1000 * ((now[key] ?? 0) - (before[key] ?? 0))) / passed);
	return { publishes: of("published"), deliveries: of("delivered") };
}

const rate = (n) => (n === undefined ? "" : size.format(n));

// The cluster as a whole. A user of two nodes counts on both, so users have no sum.
function showSum(nodes) {
	const sum = (key) => nodes.map((n) => n[key]).filter((n) => n !== undefined).reduce((all, n) => (all ?? 0) + n, undefined);
	const [sessions, publishes, deliveries] = ["sessions", "publishes", "deliveries"].map(sum);
	const several = nodes.length > 1;
	const rates = deliveries === undefined ? "" : `, ${rate(publishes)} publishes/s and ${rate(deliveries)} deliveries/s`;
	byID("scope").textContent = several ? `The charts and tables are of this node. All ${nodes.length} nodes together have ${size.format(sessions)} sessions${rates}.` : "The charts and tables are of this node.";
	fill("sum", several ? [["All nodes", "", size.format(sessions), "", rate(publishes), rate(deliveries)]] : []);
	byID("sum").hidden = !several;
}

function ask() {
	say("sign in", "");
	byID("refused").textContent = key ? "This key is not known." : "";
	key = "";
	endTrace();
	byID("view").hidden = true;
	byID("sign-in").hidden = false;
	byID("key").focus();
}

byID("sign-in").addEventListener("submit", (event) => {
	event.preventDefault();
	key = byID("key").value;
	byID("key").value = "";
	look();
});
byID("trace-form").addEventListener("submit", (event) => {
	event.preventDefault();
	trace(byID("trace-kind").value, byID("trace-name").value, headers());
});
byID("trace-end").addEventListener("click", endTrace);
document.addEventListener("visibilitychange", () => {
	last = null; // rates begin anew
	for (const n of seen.values()) delete n.time;
	if (!document.hidden) look();
});
look().then(lookAtNodes);
