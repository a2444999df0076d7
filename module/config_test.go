package module

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestConfigDocs makes sure that the structs of the configuration document
// themselves: Caddy's website makes the manual of their comments.
func TestConfigDocs(t *testing.T) {
	tag := regexp.MustCompile(`^[a-z][a-z_]*,omit(empty|zero)$`)
	found := map[string]int{}
	for _, file := range []string{"config.go", "config_blocks.go", filepath.Join("bots", "botpress_config.go")} {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			decl, ok := n.(*ast.GenDecl)
			if !ok || decl.Tok != token.TYPE {
				return true
			}
			for _, s := range decl.Specs {
				spec := s.(*ast.TypeSpec)
				st, ok := spec.Type.(*ast.StructType)
				if !ok || !spec.Name.IsExported() {
					continue
				}
				if decl.Doc.Text() == "" {
					t.Errorf("%s has no comment", spec.Name)
				}
				for _, f := range st.Fields.List {
					if len(f.Names) == 0 {
						continue // state, which is not part of the configuration
					}
					found[spec.Name.Name]++
					name := spec.Name.Name + "." + f.Names[0].Name
					if len(f.Names) != 1 || f.Doc.Text() == "" {
						t.Errorf("%s has no comment of its own", name)
					}
					_, nested := f.Type.(*ast.Ident)
					if id, ok := f.Type.(*ast.Ident); ok && id.Name == "string" {
						nested = spec.Name.Name == "Grant" // whose users tell it
					}
					if doc := f.Doc.Text(); !nested && !strings.Contains(doc, "Default:") && !strings.Contains(doc, "equired") &&
						!strings.Contains(doc, "default is") {
						t.Errorf("%s tells no default", name)
					}
					if f.Tag == nil {
						t.Errorf("%s has no tag", name)
						continue
					}
					if v := reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json"); !tag.MatchString(v) {
						t.Errorf("%s has the JSON tag %q", name, v)
					}
				}
			}
			return true
		})
	}
	for name, fields := range map[string]int{"Handler": 27, "App": 1, "Journal": 3, "Limits": 3, "Media": 4, "Botpress": 4} {
		if found[name] < fields {
			t.Errorf("looked at %d fields of %s, want %d", found[name], name, fields)
		}
	}
}

// TestConfigJSON makes sure that the JSON form works without a Caddyfile, and
// that what it does not know is refused.
func TestConfigJSON(t *testing.T) {
	const config = `{
		"app_id": "wx1", "app_secret": "s", "token": ["abc"],
		"allowance": {"message": {"count": "9", "for": "48h"}},
		"events": [{"on": ["CLICK:a"], "action": "reply", "text": "hi"}],
		"limits": {"user": "5/1s"},
		"bot": {"name": "botpress", "webhook_id": "a"}
	}`
	h := new(Handler)
	if err := caddy.StrictUnmarshalJSON([]byte(config), h); err != nil {
		t.Fatal(err)
	}
	got, err := h.resolve(caddy.NewReplacer())
	if err != nil {
		t.Fatal(err)
	}
	if got.settings.Allowance.Message.Count != 9 || got.settings.Allowance.Action != defaultActionGrant ||
		len(got.settings.Events) != 1 || got.settings.Limits.User.Count != 5 {
		t.Errorf("resolved %+v", got.settings)
	}
	for _, bad := range []string{`{"appid": "wx1"}`, `{"handlerState": {}}`, `{"limits": {"users": "1"}}`} {
		if err := caddy.StrictUnmarshalJSON([]byte(bad), new(Handler)); err == nil {
			t.Errorf("accepted %s", bad)
		}
	}
}
