// Compiles FILE.wat to FILE.wasm, for each file that is named on the command line. Needs the package wabt.
const fs = require('fs');

require('wabt')().then((wabt) => {
  for (const file of process.argv.slice(2)) {
    const module = wabt.parseWat(file, fs.readFileSync(file, 'utf8'));
    module.validate();
    const { buffer } = module.toBinary({ write_debug_names: true });
    fs.writeFileSync(file.replace(/\.wat$/, '.wasm'), buffer);
    module.destroy();
  }
}).catch((err) => {
  console.error(err.message);
  process.exit(1);
});
