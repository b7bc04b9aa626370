// Somebody in control of a running execution: looks at the items of a stage, pauses and resumes, decides an approval,
// runs again from a stage. Needs a server with the account below and the pipeline that ORDERS describes, started once:
// EXECUTION is its address.
import assert from 'node:assert/strict'
import { inBrowser, isAccessible, pictures, signIn } from './browser.mjs'

const { EXECUTION: address, EMAIL, PASSWORD } = process.env
assert(address && EMAIL && PASSWORD, 'Set EXECUTION, EMAIL and PASSWORD.')
const { origin } = new URL(address)

await inBrowser(async (page) => {
  await signIn(page, origin, EMAIL, PASSWORD)
  await page.goto(address)
  await page.getByRole('heading', { name: /waits for a decision/ }).waitFor()
  await pictures(page, 'approval')
  await isAccessible(page, 'an execution that waits for a decision')

  await page.goto(`${address}?stage=regions&tab=items`)
  await page.getByText('region-7', { exact: true }).waitFor()
  await page
    .getByText(/40 items: /)
    .first()
    .waitFor()
  await pictures(page, 'items')
  await isAccessible(page, 'the items of a stage')

  await page.getByRole('button', { name: 'Pause' }).click()
  await page.getByRole('button', { name: 'Resume' }).waitFor()
  await pictures(page, 'paused')
  await page.getByRole('button', { name: 'Resume' }).click()
  await page.getByRole('button', { name: 'Pause' }).waitFor()

  await page.getByLabel('Reason').fill('checked by hand')
  await page.getByRole('button', { name: 'Approve' }).click()
  await page.getByRole('button', { name: 'Run again' }).waitFor()
  await page.goto(address)
  await page.getByText('Failed', { exact: true }).first().waitFor()
  await pictures(page, 'ended')
  await isAccessible(page, 'an execution with handlers')

  await page.getByRole('button', { name: 'Run again' }).click()
  await page.getByLabel('Start').selectOption({ label: 'From publish' })
  await page
    .getByRole('dialog')
    .getByText(/reused, .* will run/)
    .waitFor()
  await pictures(page, 'run-again')
  await isAccessible(page, 'the dialog to run again')
  await page.getByRole('dialog').getByRole('button', { name: 'Run', exact: true }).click()
  await page.waitForURL((url) => url.pathname.startsWith('/executions/') && url.href !== address)
  await page.getByText('run again from publish of').waitFor()
})
