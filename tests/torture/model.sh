#!/bin/bash
# Random calls from several threads, compared with a model of the contract: for 10 minutes, in the short form 20 s.
. "$(dirname "$0")/lib.sh"
seconds=600
[ "$TORTURE" = full ] || seconds=20
CAIO_MODEL_SECONDS=${CAIO_MODEL_SECONDS:-$seconds} rust_test model
