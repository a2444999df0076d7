package main

import (
	"crypto/rand"
	"embed"
	"io/fs"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
)

//go:embed page
var pageFiles embed.FS

// pagePolicy lets the page load what this server serves, and nothing else. Texts of users
// and bots go into the page, so markup made of text is refused by the browser too.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self' blob: data:; media-src 'self' blob:; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// page is the web page: its files, the simulators' control APIs, and all that happens.
type page struct {
	sims  *simulators
	epoch string // another one for each run, so that a page that lives on notices
	trace *decisions
	proxy *httputil.ReverseProxy
	admin string // base URL of the admin endpoint
}

// newPage makes the page. admin is the host and port of Caddy's admin endpoint.
func newPage(s *simulators, admin string) *page {
	p := &page{sims: s, epoch: rand.Text()[:8], trace: newDecisions()}
	target := &url.URL{Scheme: "http", Host: admin}
	p.admin = target.String()
	p.proxy = &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("Origin") // Caddy's own check is for its own pages
			r.Out.Header.Del("Referer")
			r.Out.Header.Del("Cookie")
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, `{"error":"the admin endpoint does not answer"}`, http.StatusBadGateway)
		},
	}
	return p
}

// handler serves the page to this machine only.
func (p *page) handler() http.Handler {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // the folder is embedded under that name
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServerFS(files))
	mux.Handle("/control/wechat/", p.sims.wechat)
	mux.Handle("GET /pic/", p.sims.wechat)
	mux.Handle("/control/botpress/", p.sims.botpress)
	mux.Handle("GET /media/", p.sims.botpress)
	mux.HandleFunc("GET /events", p.serveEvents)
	// What the admin endpoint tells of accounts and of decisions. Not the dead letters:
	// they hold what users wrote.
	for _, path := range []string{"trace", "accounts", "accounts/", "waiting", "parked"} {
		mux.Handle("GET /wechat/"+path, p.proxy)
	}
	return local(http.NewCrossOriginProtection().Handler(mux))
}

// local refuses requests under any other name than this machine's, as a page elsewhere
// would make them whose name resolves to this address, and sets the headers of all answers.
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if ip := net.ParseIP(strings.Trim(host, "[]")); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "only as localhost", http.StatusForbidden)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}
