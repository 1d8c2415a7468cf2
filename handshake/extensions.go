package handshake

import "strings"

// Extension is one element of Sec-WebSocket-Extensions (RFC 6455 §9.1).
type Extension struct {
	Name   string
	Params []ExtensionParam // in the order received
}

// ExtensionParam is one parameter of an Extension, unquoted. Value is "" when the
// parameter has none.
type ExtensionParam struct{ Name, Value string }

// Extensions gives the extensions the client offers, the one it likes most first.
// Offers that are malformed are left out, as a server declines them and looks at
// the next. The slice is the caller's.
func (r *Request) Extensions() []Extension {
	var offered []Extension
	for list := range r.eachOf(extensionsHeader) {
		for rest := list; rest != ""; {
			var element string
			element, rest = cutExtension(rest)
			if e, ok := parseExtension(element); ok {
				offered = append(offered, e)
			}
		}
	}
	return offered
}

// parseExtensions reads a whole list and fails if any element is malformed.
func parseExtensions(list string) (extensions []Extension, ok bool) {
	for rest := list; rest != ""; {
		var element string
		element, rest = cutExtension(rest)
		if trimOWS(element) == "" {
			continue
		}
		e, ok := parseExtension(element)
		if !ok {
			return nil, false
		}
		extensions = append(extensions, e)
	}
	return extensions, true
}

// cutExtension splits list behind its first element. A comma inside quotes
// belongs to the element, or the end of a quoted value could pose as an offer.
func cutExtension(list string) (element, rest string) {
	quoted := false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == ',' && !quoted:
			return list[:i], list[i+1:]
		}
	}
	return list, ""
}

// parseExtension reads token *( ";" token [ "=" ( token | quoted-string ) ] ). A
// quoted value must be a token too (§9.1), so it never needs a backslash and one
// is refused. gobwas/httphead is not used here: it takes "a b" for b, allows an
// empty parameter at the end, refuses HTAB and loses an octet after a backslash.
func parseExtension(s string) (e Extension, ok bool) {
	s = trimOWS(s)
	e.Name, s = cutToken(s)
	if e.Name == "" {
		return e, false
	}
	for s != "" {
		var p ExtensionParam
		if s[0] != ';' {
			return e, false
		}
		p.Name, s = cutToken(trimOWS(s[1:]))
		if p.Name == "" {
			return e, false
		}
		if strings.HasPrefix(s, "=") {
			s = trimOWS(s[1:])
			quoted := strings.HasPrefix(s, `"`)
			if quoted {
				s = s[1:]
			}
			n := span(s, tokenOctet)
			p.Value, s = s[:n], s[n:]
			if quoted {
				if !strings.HasPrefix(s, `"`) {
					return e, false
				}
				s = s[1:]
			}
			if p.Value == "" {
				return e, false
			}
			s = trimOWS(s)
		}
		e.Params = append(e.Params, p)
	}
	return e, true
}

// cutToken splits s behind its leading token and the whitespace after it.
func cutToken(s string) (token, rest string) {
	n := span(s, tokenOctet)
	return s[:n], trimOWS(s[n:])
}
