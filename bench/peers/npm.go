package main

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// packages is what npm installs, at the versions of package-lock.json, and the
// two servers.
//
//go:embed npm/package.json npm/package-lock.json npm/server.js npm/bun.js
var packages embed.FS

// registerNpm adds a peer that is an npm package. missing is as in peer.
func registerNpm(name string, missing func() error, serve func(endpoint) error) {
	peers[name] = peer{
		name:    name,
		version: func() string { return packageVersion(name) },
		missing: missing,
		serve:   serve,
	}
}

// missingNpm is what keeps the packages from being there.
func missingNpm() error {
	if dir, err := installDir(); err == nil && isInstalled(dir) {
		return nil
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return fmt.Errorf("%w: install Node.js with npm (npm is not in PATH)", errNotAvailable)
	}
	return nil
}

// become replaces this process by program, so that CPU time and memory of this
// process are the peer's. program is a path, or a pattern inside the folder of
// the packages; args are followed by host and port.
func become(at endpoint, program string, args ...string) error {
	if err := install(); err != nil {
		return err
	}
	dir, err := installDir()
	if err != nil {
		return err
	}
	if err := os.Chdir(dir); err != nil {
		return err
	}
	found, err := filepath.Glob(program)
	if err != nil || len(found) == 0 {
		return fmt.Errorf("%w: npm has no package of it for this platform", errNotAvailable)
	}
	host, port, err := net.SplitHostPort(at.addr)
	if err != nil {
		return err
	}
	argv := append(append([]string{found[0]}, args...), host, port)
	return syscall.Exec(found[0], argv, os.Environ())
}

// installDir is where the packages of this version of package-lock.json and of
// the servers are, or will be.
func installDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder for the npm packages; set HOME or XDG_CACHE_HOME: %w", err)
	}
	sum := sha256.New()
	err = fs.WalkDir(packages, "npm", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		b, err := packages.ReadFile(path)
		sum.Write(b)
		return err
	})
	return filepath.Join(cache, "fanloop", "peers-"+hex.EncodeToString(sum.Sum(nil)[:8])), err
}

func isInstalled(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "node_modules"))
	return err == nil
}

// install fetches the npm packages if they are not there. It does so beside
// their final place and moves them, so that nobody meets half of them.
func install() error {
	dir, err := installDir()
	if err != nil || isInstalled(dir) {
		return err
	}
	if err := missingNpm(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	half, err := os.MkdirTemp(filepath.Dir(dir), "installing-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(half)
	files, err := fs.Sub(packages, "npm")
	if err != nil {
		return err
	}
	if err := os.CopyFS(half, files); err != nil {
		return err
	}
	npm := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = half
	if out, err := npm.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: npm ci: %w: %s", errNotAvailable, err, firstError(out))
	}
	if err := os.Rename(half, dir); err != nil && !isInstalled(dir) {
		return err
	}
	return nil
}

// firstError is npm's first line about an error.
func firstError(out []byte) string {
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "npm error") {
			return strings.TrimSpace(line)
		}
	}
	return string(bytes.TrimSpace(out))
}

func packageVersion(name string) string {
	var lock struct {
		Packages map[string]struct{ Version string }
	}
	text, err := packages.ReadFile("npm/package-lock.json")
	if err := errors.Join(err, json.Unmarshal(text, &lock)); err != nil {
		return "unknown"
	}
	return lock.Packages["node_modules/"+name].Version
}
