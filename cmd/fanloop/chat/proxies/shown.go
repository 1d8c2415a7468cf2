package proxies

// Names are the headers, written as net/http has them, by which proxies show themselves: where
// one of them is in a request, it has come through a proxy. One that adds none of them cannot be
// noticed.
var Names = []string{
	"Forwarded", "Via", "Cdn-Loop",
	"X-Forwarded", "X-Forwarded-By", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Path", "X-Forwarded-Port",
	"X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Forwarded-Protocol", "X-Forwarded-Scheme", "X-Forwarded-Server",
	"X-Forwarded-Ssl", "X-Forwarded-Uri", "X-Forwarded-User",
	"X-Original-For", "X-Original-Forwarded-For", "X-Original-Host", "X-Original-Proto", "X-Original-Uri", "X-Original-Url",
	"X-Real-Ip", "X-Real-Port", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Proxyuser-Ip", "X-Remote-Addr", "X-Scheme", "Front-End-Https",
	"True-Client-Ip", "Fastly-Client-Ip", "Fly-Client-Ip",
	"Cf-Connecting-Ip", "Cf-Connecting-Ipv6", "Cf-Ipcountry", "Cf-Ray", "Cf-Visitor",
	"X-Amzn-Trace-Id", "X-Azure-Clientip", "X-Azure-Ref", "X-Cloud-Trace-Context", "X-Envoy-External-Address",
	"X-Envoy-Expected-Rq-Timeout-Ms", "X-Arr-Log-Id", "X-Haproxy-Server-State",
}

// Shown is the first of Names that a request has, by what returns the values of a header;
// empty: none.
func Shown(values func(name string) []string) string {
	for _, name := range Names {
		if len(values(name)) > 0 {
			return name
		}
	}
	return ""
}
