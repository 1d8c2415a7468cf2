package handshake

// header is one of the headers that a handshake asks for.
type header uint8

const (
	hostHeader header = iota
	upgradeHeader
	connectionHeader
	originHeader
	trailerHeader
	lengthHeader
	codingHeader
	keyHeader
	acceptHeader
	versionHeader
	subprotocolHeader
	extensionsHeader
	namedHeaders // how many there are

	unnamed header = namedHeaders // any other
)

var headerNames = [namedHeaders]string{
	hostHeader:        "Host",
	upgradeHeader:     "Upgrade",
	connectionHeader:  "Connection",
	originHeader:      "Origin",
	trailerHeader:     "Trailer",
	lengthHeader:      "Content-Length",
	codingHeader:      "Transfer-Encoding",
	keyHeader:         "Sec-WebSocket-Key",
	acceptHeader:      "Sec-WebSocket-Accept",
	versionHeader:     "Sec-WebSocket-Version",
	subprotocolHeader: "Sec-WebSocket-Protocol",
	extensionsHeader:  "Sec-WebSocket-Extensions",
}

// String gives the name as a handshake writes it.
func (h header) String() string { return headerNames[h] }

// named gives the header of that name in any case.
func named(name string) header {
	for _, h := range namedByLength[min(len(name), len(namedByLength)-1)] {
		if equalFold(name, headerNames[h]) {
			return h
		}
	}
	return unnamed
}

// namedByLength has the headers by the length of their names; longer names have the last place.
var namedByLength = byLength()

func byLength() (t [len("Sec-WebSocket-Extensions") + 2][]header) {
	for h, name := range headerNames {
		t[len(name)] = append(t[len(name)], header(h))
	}
	return t
}
