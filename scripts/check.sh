#!/usr/bin/env bash
# Formatting, include order, header self-containment, clang-tidy, ruff. Needs a configured build/release.
#   scripts/check.sh --fast  formatting and ruff only (the pre-commit hook)
set -uo pipefail
. "$(dirname "$0")/env.sh"

failed=0
step() {
  local name=$1
  shift
  if "$@"; then echo "check: $name: ok"; else
    echo "check: $name: FAILED"
    failed=1
  fi
}

sources() { git ls-files --cached --others --exclude-standard -- "$@"; }
format() { sources '*.cpp' '*.hpp' '*.cu' '*.cuh' | xargs -r clang-format-16 --dry-run -Werror; }
lint() { ruff check --quiet . && ruff format --check --quiet .; }
build() { cmake --build --preset release --target "$@" >build/check.log || { cat build/check.log; return 1; }; }
house() { build house_test && build/release/tests/house_test --gtest_brief=1; }

step clang-format format
step ruff lint
if [ "${1:-}" != --fast ]; then
  step "house rules" house
  step "headers stand alone" build all_verify_interface_header_sets
  step clang-tidy python3 scripts/tidy.py build/release --jobs "$jobs"
fi
exit $failed
