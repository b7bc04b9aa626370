// Somebody looks at an execution whose server cannot be reached for a minute: then the page shows all that has happened,
// and nothing twice. EXECUTION is the address of one whose stage `count` prints "line 1" to "line LINES"; the way to the
// server is cut when the file CUT appears, and whole again after a minute or more.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { inBrowser, pictures, signIn } from './browser.mjs'

const { EXECUTION: address, EMAIL, PASSWORD, CUT, LINES } = process.env
assert(
  address && EMAIL && PASSWORD && CUT && LINES,
  'Set EXECUTION, EMAIL, PASSWORD, CUT and LINES.',
)
const AWAY = /ERR_(CONNECTION|EMPTY_RESPONSE|CONTENT_LENGTH|INCOMPLETE|TIMED_OUT|NETWORK)|WebSocket/

await inBrowser(
  async (page) => {
    await signIn(page, new URL(address).origin, EMAIL, PASSWORD)
    await page.goto(`${address}?stage=count`)
    await page.getByText('line 3', { exact: true }).first().waitFor()
    writeFileSync(CUT, '')

    page.setDefaultTimeout(200_000)
    await page
      .getByText(/offline|connection/i)
      .first()
      .waitFor()
    await pictures(page, 'away')
    await page.getByText('Succeeded', { exact: true }).first().waitFor()
    const expected = Array.from({ length: Number(LINES) }, (_, number) => `line ${number + 1}`)
    await page.getByText(expected.at(-1), { exact: true }).first().waitFor()
    const shown = (await linesOf(page)).flatMap((line) => line.match(/line \d+$/) ?? [])
    assert.deepEqual(shown, expected)
    await page.getByText(/^\d+ succeeded$/).waitFor()
    await pictures(page, 'back')
  },
  { expected: AWAY },
)

/** The list draws only what is in sight: it is scrolled from its top to its end. */
async function linesOf(page) {
  const found = new Map()
  const log = page.getByRole('log')
  for (let top = 0; ; top += 200) {
    const height = await log.evaluate((element, to) => {
      element.scrollTop = to
      return element.scrollHeight
    }, top)
    await page.evaluate(
      () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))),
    )
    for (const [index, text] of await log.evaluate((element) =>
      [...element.querySelectorAll('[data-index]')].map((line) => [
        Number(line.dataset.index),
        line.textContent,
      ]),
    ))
      found.set(index, text)
    if (top > height)
      return [...found.entries()].toSorted(([a], [b]) => a - b).map(([, text]) => text)
  }
}
