package engine

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// podmanPackages are the Debian packages of an engine that needs no daemon. runc and not crun: Debian 12's crun
// refuses hybrid cgroups.
var podmanPackages = []string{"podman", "runc", "conmon", "netavark", "aardvark-dns", "iptables"}

// Install installs podman on Debian or Ubuntu, as root. Elsewhere the error says what to do instead.
func Install(ctx context.Context, step func(context.Context, string, func(context.Context) error) error) (*Engine, error) {
	if err := InstallPackages(ctx, step, podmanPackages...); err != nil {
		return nil, fmt.Errorf("no container engine works and podman cannot be installed: %w", err)
	}
	return Find(ctx, "podman")
}

// Complete installs what an installed podman may lack for a node's network: netavark calls iptables, which
// Debian's package only recommends.
func (engine *Engine) Complete(ctx context.Context, step func(context.Context, string, func(context.Context) error) error) error {
	if _, err := exec.LookPath("iptables"); engine.Name != "podman" || err == nil {
		return nil
	}
	if err := InstallPackages(ctx, step, "iptables"); err != nil {
		return fmt.Errorf("podman's network needs iptables: %w", err)
	}
	return nil
}

// InstallPackages installs those Debian packages that are missing.
func InstallPackages(ctx context.Context, step func(context.Context, string, func(context.Context) error) error, packages ...string) error {
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
		return nil, fmt.Errorf("this is neither Debian nor Ubuntu; install docker or podman by hand, see https://podman.io/docs/installation")
	}
	// dpkg-query fails when it does not know a package, and still prints the ones that it knows.
	query := exec.CommandContext(ctx, "dpkg-query", append([]string{"--show", "--showformat=${Package} ${Status}\n"}, packages...)...)
	output, _ := query.Output()
	return notInstalled(packages, string(output)), ctx.Err()
}

// notInstalled returns the packages that dpkg-query's answer, lines of "NAME STATUS", does not call installed.
func notInstalled(packages []string, answer string) []string {
	var missing []string
	for _, name := range packages {
		if !strings.Contains("\n"+answer, "\n"+name+" install ok installed\n") {
			missing = append(missing, name)
		}
	}
	return missing
}

func apt(ctx context.Context, arguments ...string) error {
	command := exec.CommandContext(ctx, "apt-get", arguments...)
	command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	// Killed outright, it would leave half-installed packages; interrupted, it stops where it may.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 2 * time.Minute
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		return fmt.Errorf("apt-get %s: %w: %s", arguments[0], err, lastLine(output.String()))
	}
	return nil
}
