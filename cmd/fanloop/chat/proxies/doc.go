// Package proxies finds the address of a client behind proxies.
//
// A proxy that forwards requests names the address that it got one from, in a header or in
// front of the connection. Everybody can send such a header, so only those of proxies that
// the operator lists are believed: from the end of the list that the header has, as long as
// an address is that of a listed proxy, and the first that is not is the client.
package proxies
