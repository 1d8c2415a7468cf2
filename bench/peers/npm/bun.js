// The bench protocol on Bun: see the Go package beside this folder.
// Run as: bun bun.js HOST PORT
const [hostname, port] = process.argv.slice(2);

function start() {
	return Bun.serve({
		hostname,
		port: Number(port),
		fetch(req, server) {
			if (!server.upgrade(req)) return new Response('want a WebSocket', { status: 426 });
		},
		websocket: {
			idleTimeout: 0, // 120 s of silence end a connection otherwise
			sendPings: false,
			closeOnBackpressureLimit: true, // at 16 MiB
			open(ws) {
				ws.subscribe('all');
			},
			message(ws, data) {
				const first = typeof data === 'string' ? data.charCodeAt(0) : data[0];
				if (first === 0x42) server.publish('all', data);
				else ws.send(data);
			},
		},
	});
}

let server;
try {
	server = start();
} catch (err) {
	console.error(`peers: bun: ${err.message}`);
	process.exit(1);
}
console.log(`listening ${hostname.includes(':') ? `[${hostname}]` : hostname}:${server.port}`);
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
process.on('SIGUSR1', () => Bun.gc(true));
