package wechat

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
)

func TestMenu(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, answer, want string
		code               int
	}{
		{"menu", `{"menu":{"button":[{"type":"click","name":"帮助","key":"HELP","sub_button":[]}]}}`, `{"button":[{"type":"click","name":"帮助","key":"HELP","sub_button":[]}]}`, 0},
		{"none", `{"errcode":46003,"errmsg":"menu no exist"}`, "", 0},
		{"not allowed", `{"errcode":48001,"errmsg":"api unauthorized"}`, "", 48001},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cl := &cloud{call: func(_ int, r *http.Request) (*http.Response, error) {
				if r.URL.Path != pathMenuGet || r.Method != http.MethodGet {
					t.Errorf("asked for %s %s", r.Method, r.URL.Path)
				}
				return answer(tc.answer), nil
			}}
			got, err := mustClient(t, cl).Menu(t.Context())
			e, _ := errors.AsType[*Error](err)
			if string(got) != tc.want || (err != nil) != (tc.code != 0) || e != nil && e.Code != tc.code {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
}

func TestCreateMenu(t *testing.T) {
	t.Parallel()
	button := `{"type":"click","name":"a","key":"K"}`
	for _, tc := range []struct{ name, menu, want, wrong string }{
		{"as it is", `{"button":[` + button + `]}`, `{"button":[{"key":"K","name":"a","type":"click"}]}`, ""},
		{
			"as WeChat gives it", `{"menu":{"button":[{"type":"view","name":"\u5b98\u7f51","url":"https://example.com/?a=1&b=2","sub_button":[]}],"menuid":208396938}}`,
			`{"button":[{"name":"官网","sub_button":[],"type":"view","url":"https://example.com/?a=1&b=2"}]}`, "",
		},
		{"a newer type", `{"button":[{"type":"hologram","name":"a","n":9007199254740993}]}`, `{"button":[{"n":9007199254740993,"name":"a","type":"hologram"}]}`, ""},
		{"no JSON", `button`, "", "no JSON object"},
		{"a list", `[]`, "", "no JSON object"},
		{"two objects", `{"button":[` + button + `]}{}`, "", "something follows"},
		{"no buttons", `{"button":[]}`, "", "0 buttons"},
		{"four buttons", `{"button":[` + strings.Repeat(button+",", 3) + button + `]}`, "", "4 buttons"},
		{"no list", `{"buttons":[]}`, "", `a list "button"`},
		{"no name", `{"button":[{"type":"click","key":"K"}]}`, "", `button 1: it wants a "name"`},
		{"long name", `{"button":[` + button + `,{"type":"click","name":"帮助帮助帮助","key":"K"}]}`, "", "button 2: its name"},
		{"no type", `{"button":[{"name":"a","key":"K"}]}`, "", `wants a "type"`},
		{"no key", `{"button":[{"name":"a","type":"click"}]}`, "", `wants "key"`},
		{"long key", `{"button":[{"name":"a","type":"click","key":"` + strings.Repeat("k", 129) + `"}]}`, "", "129 bytes"},
		{"no url", `{"button":[{"name":"a","type":"view","key":"K"}]}`, "", `wants "url"`},
		{"type and more below", `{"button":[{"name":"a","type":"click","key":"K","sub_button":[` + button + `]}]}`, "", "one of the two"},
		{"six below", `{"button":[{"name":"a","sub_button":[` + strings.Repeat(button+",", 5) + button + `]}]}`, "", "6 buttons below"},
		{"two deep", `{"button":[{"name":"a","sub_button":[{"name":"b","sub_button":[` + button + `]}]}]}`, "", "number 1 below it"},
		{"bad below", `{"button":[{"name":"a","sub_button":[7]}]}`, "", "no JSON object"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cl := &cloud{}
			err := mustClient(t, cl).CreateMenu(t.Context(), json.RawMessage(tc.menu))
			if tc.wrong != "" {
				if !errors.Is(err, ErrMenu) || !strings.Contains(err.Error(), tc.wrong) || cl.asked()[1] != 0 {
					t.Errorf("error = %v after %v requests, want one about %q", err, cl.asked(), tc.wrong)
				}
				return
			}
			if err != nil || len(cl.bodies) != 1 || string(cl.bodies[0]) != tc.want || cl.calls[0].URL.Path != pathMenuCreate {
				t.Errorf("sent %s, %v", cl.bodies, err)
			}
		})
	}
}

func TestDeleteMenuAndCurrentMenu(t *testing.T) {
	t.Parallel()
	cl := &cloud{call: func(n int, r *http.Request) (*http.Response, error) {
		switch {
		case n == 1 && r.URL.Path == pathMenuDelete:
			return answer(okJSON), nil
		case n == 2 && r.URL.Path == pathSelfMenu:
			return answer(`{"is_menu_open":1,"selfmenu_info":{"button":[]}}`), nil
		case n == 3:
			return answer(`{"is_menu_open":0}`), nil
		}
		return answer(`{"errcode":45009,"errmsg":"quota"}`), nil
	}}
	c := mustClient(t, cl)
	if err := c.DeleteMenu(t.Context()); err != nil {
		t.Error(err)
	}
	if m, err := c.CurrentMenu(t.Context()); err != nil || !m.Open || string(m.Info) != `{"button":[]}` {
		t.Errorf("menu %+v, %v", m, err)
	}
	if m, err := c.CurrentMenu(t.Context()); err != nil || m.Open || m.Info != nil {
		t.Errorf("no menu: %+v, %v", m, err)
	}
	if _, err := c.CurrentMenu(t.Context()); err == nil {
		t.Error("no error")
	}
}

// FuzzReadMenu: whatever passes is taken again in the form in which it is sent.
func FuzzReadMenu(f *testing.F) {
	f.Add([]byte(`{"button":[{"name":"a","sub_button":[{"type":"click","name":"b","key":"K"}]}]}`))
	f.Add([]byte(`{"menu":{"button":[{"type":"view","name":"\u2028","url":"x"}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := readMenu(b)
		if err != nil {
			if !errors.Is(err, ErrMenu) {
				t.Error(err)
			}
			return
		}
		sent, err := encodeJSON(map[string]any{"button": m})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readMenu(sent); err != nil && !strings.Contains(err.Error(), "bytes") && !strings.Contains(err.Error(), "wants") {
			t.Errorf("%s: %v", sent, err)
		}
	})
}
