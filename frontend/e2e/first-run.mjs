// From the one-time link to a success and to the cause of a failure, as somebody does it on the first day.
// Needs a fresh server with the examples: SIGN_IN is the link that it printed.
import assert from 'node:assert/strict'
import { inBrowser, isAccessible, picture } from './browser.mjs'

const link = process.env.SIGN_IN
assert(link, 'Set SIGN_IN to the one-time link that the server printed.')
const { origin } = new URL(link)

await inBrowser(async (page) => {
  await makeAccount(page)
  await isAccessible(page, 'the dashboard')

  await run(page, 'flights')
  await page.getByRole('main').getByText('Succeeded', { exact: true }).first().waitFor()
  await picture(page, 'success')
  await isAccessible(page, 'a successful execution')

  await run(page, 'orders')
  await page.getByRole('heading', { name: /^Stage check/ }).waitFor()
  await page
    .getByText(/column 'amount' expected decimal/)
    .first()
    .waitFor()
  await page
    .getByText(/Correct the rows at their source/)
    .first()
    .waitFor()
  await picture(page, 'cause')
  await isAccessible(page, 'a failed execution')
})

async function makeAccount(page) {
  await page.goto(link)
  await page.getByLabel('Email').fill('ada@example.com')
  await page.getByLabel('Password').fill('a quiet green river')
  await isAccessible(page, 'the setup page')
  await page.getByRole('button', { name: 'Create the account' }).click()
  await page.waitForURL((url) => url.pathname === '/')
  await page.getByRole('heading', { level: 1 }).waitFor()
}

/** Starts a pipeline with its usual inputs and waits until its execution is shown. */
async function run(page, pipeline) {
  await page.goto(`${origin}/pipelines/${pipeline}`)
  await page.getByRole('banner').getByRole('button', { name: 'Run', exact: true }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Run', exact: true }).click()
  await page.waitForURL(/\/executions\//)
}
