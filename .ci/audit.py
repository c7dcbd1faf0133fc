"""Reads the report of pip-audit in JSON; fails for a known vulnerability that a version mends.

Where the index of vulnerabilities cannot be reached, pip-audit reports nothing, or that it found
none, with a reason for each package that it could not look up. Neither is a good answer.
"""

import json
import sys


def main() -> None:
    """Prints a line for each vulnerability; ends with status 1 if one of them is mended."""
    text = sys.stdin.read()
    packages = json.loads(text)["dependencies"] if text.strip() else []
    found = [package for package in packages if "vulns" in package]
    if not found:
        print("pip-audit was skipped: it could look up no package from here")
        return
    mended = 0
    for package in found:
        for one in package["vulns"]:
            versions = ", ".join(one["fix_versions"])
            mended += bool(versions)
            state = f"mended in {versions}" if versions else "not mended yet"
            print(f"{package['name']} {package['version']}: {one['id']}, {state}")
    count = sum(len(package["vulns"]) for package in found)
    known = f"{count} known vulnerabilities" if count else "no known vulnerability"
    unknown = f", {left} not looked up" if (left := len(packages) - len(found)) else ""
    print(f"pip-audit: {len(found)} package{'s' * (len(found) > 1)}, {known}{unknown}")
    sys.exit(1 if mended else 0)


if __name__ == "__main__":
    main()
