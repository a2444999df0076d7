package simulator

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"time"
)

// BotpressShape is one of the forms in which the Chat API reports an error.
type BotpressShape string

const (
	// ShapeAPI is {"id","code","type","message"}, the form of the API's own errors. The default.
	ShapeAPI BotpressShape = "api"
	// ShapeRouter is {"message"} alone: validation and routing.
	ShapeRouter BotpressShape = "router"
	// ShapeText is plain text: an unexpected failure.
	ShapeText BotpressShape = "text"
	// ShapeLimited is {"type","description","status"}, the documented form of 429.
	ShapeLimited BotpressShape = "limited"
)

// bpFailure is an answer other than success.
type bpFailure struct {
	status  int
	shape   BotpressShape
	kind    string
	message string
}

func bpAPIError(status int, kind, message string) *bpFailure {
	return &bpFailure{status: status, shape: ShapeAPI, kind: kind, message: message}
}

func bpRouterError(status int, message string) *bpFailure {
	return &bpFailure{status: status, shape: ShapeRouter, message: message}
}

func bpNotFound(what, id string) *bpFailure {
	return bpAPIError(http.StatusNotFound, "ResourceNotFound", what+` "`+id+`" not found`)
}

func (f *bpFailure) body(now time.Time) []byte {
	switch f.shape {
	case ShapeText:
		return []byte(f.message)
	case ShapeRouter:
		return bpJSON(map[string]string{"message": f.message})
	case ShapeLimited:
		return bpJSON(struct {
			Type        string `json:"type"`
			Description string `json:"description"`
			Status      int    `json:"status"`
		}{f.kind, f.message, f.status})
	default:
		return bpJSON(struct {
			ID      string `json:"id"`
			Code    int    `json:"code"`
			Type    string `json:"type"`
			Message string `json:"message"`
		}{bpErrorID(now), f.status, f.kind, f.message})
	}
}

// bpJSON encodes with raw UTF-8 and no HTML escaping, as JavaScript does.
func bpJSON(v any) []byte {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("simulator: encoding " + err.Error())
	}
	return bytes.TrimRight(buf.Bytes(), "\n")
}

// bpReset ends the connection without an answer, with a TCP reset where the transport allows it.
func bpReset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	inner := conn
	if t, ok := conn.(*tls.Conn); ok {
		inner = t.NetConn()
	}
	if t, ok := inner.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = inner.Close()
}
