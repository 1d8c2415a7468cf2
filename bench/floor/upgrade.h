// The opening handshake (RFC 6455 §4.2): only the key of the request is looked at.
#include "accept_key.h"

// upgrade answers a complete request head and returns the bytes consumed: 0 for an
// incomplete head, -1 if the connection must be dropped.
static ssize_t upgrade(int fd, uint8_t *at, size_t n) {
	uint8_t *end = memmem(at, n, "\r\n\r\n", 4);
	if (!end) return n < 8192 ? 0 : -1;
	*end = 0;
	static const char name[] = "\r\nSec-WebSocket-Key:";
	char *key = strcasestr((char *)at, name);
	if (key) key += sizeof name - 1, key += strspn(key, " \t");
	if (!key || (char *)end - key < KEY_LEN) {
		static const char bad[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
		send_all(fd, bad, sizeof bad - 1);
		return -1;
	}
	char reply[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	               "Sec-WebSocket-Accept: ____________________________\r\n\r\n";
	accept_key(key, reply + sizeof reply - 1 - 4 - ACCEPT_LEN);
	if (!send_all(fd, reply, sizeof reply - 1)) return -1;
	join(fd);
	return end + 4 - at;
}
