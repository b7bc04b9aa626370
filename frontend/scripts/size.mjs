// Fails when the JavaScript of the first load, or what a route adds to it, outgrows its budget. Run after a build.
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const dist = new URL('../dist/', import.meta.url)
const manifest = JSON.parse(readFileSync(new URL('build-manifest.json', dist), 'utf8'))

/** Budgets in KB gzip. `first` counts everything a browser loads to show the dashboard. */
const budgets = [
  {
    name: 'first load (dashboard)',
    entries: [
      'index.html',
      'src/pages/dashboard/dashboard-page.tsx',
      'node_modules/socket.io-client/build/esm/index.js',
    ],
    limit: 220,
  },
  {
    name: 'execution page adds',
    entries: ['src/pages/execution/execution-page.tsx'],
    limit: 60,
    onTopOf: 0,
  },
]

/** The file of an entry and of everything it imports statically. */
function filesOf(entry, found = new Set()) {
  const chunk = manifest[entry]
  if (!chunk)
    throw new Error(
      `The build has no '${entry}'. Was the page moved? Then change scripts/size.mjs.`,
    )
  if (found.has(chunk.file)) return found
  found.add(chunk.file)
  for (const imported of chunk.imports ?? []) filesOf(imported, found)
  return found
}

function measure({ entries }) {
  const files = new Set()
  for (const entry of entries) filesOf(entry, files)
  return files
}

const kilobytes = (file) => gzipSync(readFileSync(new URL(file, dist)), { level: 9 }).length / 1024
let failed = false
for (const budget of budgets) {
  const before = budget.onTopOf === undefined ? new Set() : measure(budgets[budget.onTopOf])
  const files = [...measure(budget)].filter((file) => !before.has(file))
  const size = files.reduce((sum, file) => sum + kilobytes(file), 0)
  const over = size > budget.limit
  failed ||= over
  console.log(
    `${over ? 'FAIL' : 'ok  '} ${budget.name}: ${size.toFixed(1)} KB of ${budget.limit} KB gzip`,
  )
}
process.exit(failed ? 1 : 0)
