package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"sharedpid.example/helpers/progress"
	"sharedpid.example/helpers/workspace"
)

// podmanPackages are the Debian packages of an engine that needs no daemon. runc and not crun: Debian 12's crun
// refuses hybrid cgroups.
var podmanPackages = []string{"podman", "runc", "conmon", "netavark", "aardvark-dns", "iptables"}

// Install installs podman on Debian or Ubuntu, as root, and returns it. Elsewhere the error says what to do instead.
func Install(ctx context.Context, step progress.Step) (*Engine, error) {
	if err := InstallPackages(ctx, step, podmanPackages...); err != nil {
		return nil, fmt.Errorf("no container engine works and podman cannot be installed: %w", err)
	}
	return Detect(ctx, "podman")
}

// Complete installs what an installed podman may lack for a node's network: netavark calls iptables, which
// Debian's package only recommends.
func (engine *Engine) Complete(ctx context.Context, step progress.Step) error {
	if _, err := exec.LookPath("iptables"); engine.Name != "podman" || err == nil {
		return nil
	}
	if err := InstallPackages(ctx, step, "iptables"); err != nil {
		return fmt.Errorf("podman's network needs iptables: %w", err)
	}
	return nil
}

// InstallPackages installs those of the Debian packages that are missing, as root. Otherwise the error names the command.
func InstallPackages(ctx context.Context, step progress.Step, packages ...string) error {
	missing, err := missingPackages(ctx, packages)
	if err != nil || len(missing) == 0 {
		return err
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("not root; run: sudo apt-get install -y %s", strings.Join(missing, " "))
	}
	return step(ctx, "install "+strings.Join(missing, " "), func(ctx context.Context) error {
		if err := apt(ctx, "update", "-q"); err != nil {
			return err
		}
		return apt(ctx, append([]string{"install", "-q", "-y", "--no-install-recommends"}, missing...)...)
	})
}

func missingPackages(ctx context.Context, packages []string) ([]string, error) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, errors.New("this is neither Debian nor Ubuntu; install docker or podman by hand, see https://podman.io/docs/installation")
	}
	var missing []string
	for _, name := range packages {
		// It fails for a package that it does not know, and removed ones may have left their configuration.
		status, err := workspace.Command{Arguments: []string{"dpkg-query", "--show", "--showformat=${Status}", name}}.Output(ctx)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil || status != "install ok installed" {
			missing = append(missing, name)
		}
	}
	return missing, nil
}

func apt(ctx context.Context, arguments ...string) error {
	return workspace.Command{
		Arguments:   append([]string{"apt-get"}, arguments...),
		Environment: []string{"DEBIAN_FRONTEND=noninteractive"},
		// Killed outright, or with the dpkg that it started, it would leave half-installed packages.
		LeavesChildren: true,
		Grace:          2 * time.Minute,
	}.Run(ctx)
}
