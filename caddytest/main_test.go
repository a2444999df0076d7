package caddytest

import (
	"flag"
	"os"
	"strconv"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/smallstep/certificates/acme"

	_ "github.com/caddy-wechat/caddy-wechat/module"
)

// asCaddy in the environment makes the test binary a Caddy: one that is built
// with the race detector if the tests are, and that can be killed.
const asCaddy = "CADDY_WECHAT_TEST_CADDY"

func TestMain(m *testing.M) {
	if os.Getenv(asCaddy) != "" {
		if port, err := strconv.Atoi(os.Getenv(challengePort)); err == nil {
			acme.InsecurePortTLSALPN01 = port
		}
		caddycmd.Main()
		return
	}
	// The tests wait more than they compute. The command line goes before this.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
