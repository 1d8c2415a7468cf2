package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
)

// NATSSecret is what nodes show one another; empty: nothing. It reads the file.
func (c *Config) NATSSecret() (string, error) {
	secret, err := secretOf(Secret{}, c.NATSSecretFile)
	if err == nil && c.NATSSecretFile != "" && len(secret) < 16 {
		err = errors.New("the secret has less than 16 bytes")
	}
	return secret, at("nats-secret-file", err)
}

// NodeName is the name, or that of the machine.
func (c *Config) NodeName() (string, error) {
	if c.Name != "" {
		return c.Name, nil
	}
	return os.Hostname()
}

// Copies is how many servers have each message.
func (c *Config) Copies() int {
	switch {
	case c.Replicas > 0:
		return c.Replicas
	case len(c.Routes) > 0:
		return 3
	}
	return 1
}

// checkCluster finds what keeps nodes from one another.
func (c *Config) checkCluster() []error {
	_, errSecret := c.NATSSecret()
	errs := []error{c.checkNATS(), c.checkRoutes(), errSecret}
	errs = append(errs, at("cluster", c.checkOwn(c.Cluster)), at("nats-listen", c.checkOwn(c.NATSListen)))
	for i, route := range c.Routes {
		err := checkAddress(route)
		if slices.Contains(c.Routes[:i], route) {
			err = errors.New("is there twice")
		}
		errs = append(errs, at(fmt.Sprintf("routes[%d]", i), err))
	}
	errs = append(errs, at("replicas", c.checkReplicas()))
	if strings.ContainsAny(c.Name, " \t\r\n.*>/\\") {
		errs = append(errs, at("name", errors.New("want letters, digits, - and _")))
	}
	return errs
}

func (c *Config) checkReplicas() error {
	switch {
	case c.Replicas != 0 && c.Replicas != 1 && c.Replicas != 3:
		return errors.New("want 0, 1 or 3")
	case c.Replicas == 3 && len(c.Routes) == 0 && c.NATS == "":
		return errors.New("three servers keep each message: set routes to the nodes that do, or nats to your own servers")
	}
	return nil
}

// checkOwn refuses to let everybody into the store.
func (c *Config) checkOwn(address string) error {
	if address == "" {
		return nil
	}
	err := checkAddress(address)
	if err == nil && !IsLoopback(address) && c.NATSSecretFile == "" {
		err = errors.New("whoever reaches this address could do everything: set nats-secret-file")
	}
	return err
}

// IsLoopback reports whether an address, with or without a port, is this machine by its
// text alone: no name but localhost is looked up.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

func (c *Config) checkRoutes() error {
	switch n := len(c.Routes); {
	case n == 0 && c.Cluster != "":
		return at("cluster", errors.New("set routes to the addresses of all nodes"))
	case n == 0:
		return nil
	case c.Cluster == "":
		return at("routes", errors.New("set cluster to the address of this node, where the others reach it"))
	case n != 3 && n != 5:
		return at("routes", fmt.Errorf("want the addresses of three or five nodes, that of this one too, not %d", n))
	case !slices.Contains(c.Routes, c.Cluster):
		return at("cluster", fmt.Errorf("%q is none of routes (%s), where the others look for this node", c.Cluster, strings.Join(c.Routes, ", ")))
	case c.DataDir == "":
		return at("data-dir", errors.New("a node of a cluster keeps messages: set a folder, another one for each node"))
	}
	return nil
}

func (c *Config) checkNATS() error {
	if c.NATS == "" {
		return nil
	}
	for one := range strings.SplitSeq(c.NATS, ",") {
		u, err := url.Parse(one)
		if err != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "tls" && u.Scheme != "ws" && u.Scheme != "wss" {
			return at("nats", errors.New("want a URL like nats://127.0.0.1:4222, or several with commas between"))
		}
	}
	if len(c.Routes) > 0 || c.NATSListen != "" {
		return at("nats", errors.New("routes and nats-listen are for nodes that start their own NATS; leave one of them out"))
	}
	return nil
}
