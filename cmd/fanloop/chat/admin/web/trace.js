// The trace of one user, topic or connection: a stream of lines that the node writes for
// as long as somebody looks.

const shown = 300; // events; older ones are taken away

/** @param {string} id */
const byID = (id) => /** @type {any} */ (document.getElementById(id));

/** @type {AbortController | null} */
let running = null;

/** Ends the trace. */
export function endTrace() {
	running?.abort();
	running = null;
	byID("trace-end").hidden = true;
}

/**
 * Traces one, in place of the one before.
 * @param {string} kind user, topic or connection
 * @param {string} name
 * @param {Record<string, string>} headers those of the operator
 */
export async function trace(kind, name, headers) {
	endTrace();
	const mine = new AbortController();
	running = mine;
	byID("trace-kind").value = kind;
	byID("trace-name").value = name;
	byID("trace-end").hidden = false;
	byID("events").replaceChildren();
	say(`Waiting for what happens to ${name}.`);
	try {
		const of = kind === "connection" ? { connection: Number(name) } : { [kind]: name };
		const response = await fetch("/admin/trace", { method: "POST", headers, body: JSON.stringify(of), signal: mine.signal });
		if (!response.ok || !response.body) throw new Error((await response.json()).detail ?? `status ${response.status}`);
		for await (const event of lines(response.body)) if (running === mine) add(event);
		if (running === mine) say("The trace has ended.");
	} catch (error) {
		if (running === mine) say(`No trace: ${error.message}`);
	}
	if (running === mine) endTrace();
}

/** @param {ReadableStream<Uint8Array>} body */
async function* lines(body) {
	const reader = body.pipeThrough(new TextDecoderStream()).getReader();
	for (let rest = ""; ; ) {
		const { value, done } = await reader.read();
		if (done) return;
		const parts = (rest + value).split("\n");
		rest = parts.pop() ?? "";
		for (const part of parts) if (part) yield JSON.parse(part);
	}
}

/** @param {any} event */
function add(event) {
	const tr = document.createElement("tr");
	const at = new Date(event.time).toISOString().slice(11, 23);
	const outcome = [event.code, event.took && `${event.took} ms`, event.missed && `${event.missed} left out before`].filter(Boolean).join(", ");
	[at, event.event, event.type, event.user, event.topic, event.offset, event.bytes, event.connection, outcome].forEach((text, i) => {
		const td = tr.insertCell();
		td.textContent = text ?? "";
		td.dir = "auto";
		if (i > 4 && i < 8) td.className = "number";
	});
	tr.className = `of-${["received", "sent", "message", "hook", "publish", "opened", "closed"].includes(event.event) ? event.event : "other"}`;
	if (event.type === "error") tr.className = "of-error";
	byID("events").prepend(tr);
	if (byID("events").rows.length > shown) byID("events").deleteRow(-1);
	say(`${event.missed ? "Some events are left out. " : ""}Newest first.`);
}

/** @param {string} text */
function say(text) {
	if (byID("trace-state").textContent !== text) byID("trace-state").textContent = text;
}
