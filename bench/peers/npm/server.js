// The bench protocol on Node's ws: see the Go package beside this folder.
// Run as: node --expose-gc server.js HOST PORT
import { WebSocket, WebSocketServer } from 'ws';

const maxUnread = 16 << 20; // bytes; a client that leaves more unread is dropped
const [host, port] = process.argv.slice(2);
const server = new WebSocketServer({ host, port: Number(port) });

server.on('connection', (ws) => {
	ws.on('error', () => ws.terminate());
	ws.on('message', (data, binary) => {
		if (data[0] === 0x42) publish(data, binary);
		else ws.send(data, { binary });
	});
});

function publish(data, binary) {
	for (const client of server.clients) {
		if (client.readyState !== WebSocket.OPEN) continue;
		if (client.bufferedAmount > maxUnread) client.terminate();
		else client.send(data, { binary });
	}
}

server.on('listening', () => {
	const { address, port } = server.address();
	console.log(`listening ${address.includes(':') ? `[${address}]` : address}:${port}`);
});
server.on('error', (err) => {
	console.error(`peers: ws: ${err.message}`);
	process.exit(1);
});
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
process.on('SIGUSR1', () => globalThis.gc());
