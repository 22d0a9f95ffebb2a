// Package server names what a cluster's API server is built from, and what the schema of PrometheusRule is generated from.
package server

import _ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
