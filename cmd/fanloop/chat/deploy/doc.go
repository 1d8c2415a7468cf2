// Package deploy has files to run the chat with: a unit for systemd, a Dockerfile, an
// example for Kubernetes and a dashboard for Grafana. Its tests check them against the
// program. OPERATIONS.md, one folder up, says how to use them.
package deploy
