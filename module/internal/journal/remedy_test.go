package journal

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

func TestRemedy(t *testing.T) {
	t.Parallel()
	const dir = "/var/lib/my caddy's/wechat"
	want := `caddy wechat journal salvage --dir '/var/lib/my caddy'\''s/wechat' `
	if runtime.GOOS == "windows" {
		want = `caddy wechat journal salvage --dir "` + dir + `" `
	}
	damaged := fmt.Errorf("opening: %w", ErrDamaged)
	for name, tc := range map[string]struct {
		err  error
		open bool
		want string
	}{
		"damaged":         {damaged, false, "Run: " + want},
		"damaged, in use": {damaged, true, "Stop Caddy, run: " + want},
		"newer":           {fmt.Errorf("opening: %w", ErrNewer), false, "Run the version that wrote it"},
		"anything else":   {errors.New("mystery"), false, ""},
	} {
		got := Remedy(tc.err, dir, tc.open)
		if !strings.HasPrefix(got, tc.want) || tc.want == "" && got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}
