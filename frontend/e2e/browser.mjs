// A real browser for the scripts beside this file: the system's Chromium, and axe for accessibility.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const BROWSERS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/**
 * Runs `story(page)`; errors of the page fail it unless they are `expected`, and a picture of its last state is kept in
 * SCREENSHOTS.
 */
export async function inBrowser(story, { expected = /^$/ } = {}) {
  const executablePath = process.env.BROWSER_PATH ?? BROWSERS.find(existsSync)
  assert(
    executablePath,
    `There is no browser at ${BROWSERS.join(', ')}: install chromium, or set BROWSER_PATH.`,
  )
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
  page.setDefaultTimeout(30_000)
  const errors = []
  page.on('pageerror', (error) => errors.push(error.stack ?? error.message))
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
  try {
    await story(page)
    const unexpected = errors.filter((error) => !expected.test(error))
    assert.deepEqual(unexpected, [], 'the page reported errors')
  } catch (error) {
    await picture(page, 'failure')
    throw error
  } finally {
    await browser.close()
  }
}

export async function picture(page, name) {
  const folder = process.env.SCREENSHOTS
  if (!folder) return
  mkdirSync(folder, { recursive: true })
  await page.screenshot({ path: join(folder, `${name}.png`) })
}

/** No violation of WCAG 2 A and AA on the page as it is shown. */
export async function isAccessible(page, name) {
  // Evaluated rather than added as a script: the page's policy allows scripts of its own server only.
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() =>
    // biome-ignore lint/correctness/noUndeclaredVariables: axe lives in the page
    axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] }),
  )
  const found = violations.map(
    ({ id, nodes }) =>
      `${id}: ${nodes.map(({ html, failureSummary }) => `${html} (${failureSummary})`).join(' | ')}`,
  )
  assert.deepEqual(found, [], `${name} is not accessible`)
}

/** Wide and narrow, light and dark. */
export async function pictures(page, name) {
  for (const scheme of ['light', 'dark']) {
    await turn(page, scheme)
    for (const [size, width, height] of [
      ['narrow', 390, 844],
      ['wide', 1440, 900],
    ]) {
      await page.setViewportSize({ width, height })
      await picture(page, `${name}-${size}-${scheme}`)
    }
  }
  await turn(page, 'light')
}

/** To the other colours, until each has arrived: on their way they have no contrast worth measuring. */
async function turn(page, scheme) {
  await page.emulateMedia({ colorScheme: scheme })
  const isDark = (dark) => document.documentElement.classList.contains('dark') === dark
  await page.waitForFunction(isDark, scheme === 'dark')
  await page.evaluate(() =>
    Promise.allSettled(
      document
        .getAnimations()
        .filter((animation) => animation instanceof CSSTransition)
        .map((animation) => animation.finished),
    ),
  )
}

export async function signIn(page, origin, email, password) {
  await page.goto(`${origin}/login`)
  await page.getByLabel('Email').fill(email)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.waitForURL((url) => url.pathname === '/')
}
