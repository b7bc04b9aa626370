// Somebody in control of many executions: retries those that failed, pauses a pipeline and resumes it, decides what
// waits on the page of approvals, changes a pool, deletes a pipeline, empties the server. Needs a server at ORIGIN with
// the account below and the pipelines that tests/system/test_browser.py makes.
import assert from 'node:assert/strict'
import { inBrowser, isAccessible, pictures, signIn } from './browser.mjs'

const { ORIGIN: origin, EMAIL, PASSWORD } = process.env
assert(origin && EMAIL && PASSWORD, 'Set ORIGIN, EMAIL and PASSWORD.')

await inBrowser(async (page) => {
  await signIn(page, origin, EMAIL, PASSWORD)
  await retriesMany(page)
  await pausesAndResumes(page)
  await decides(page)
  await changesPool(page)
  await deletesPipeline(page)
  await drains(page)
})

async function retriesMany(page) {
  await page.goto(`${origin}/executions?status=failed`)
  await page.getByRole('checkbox', { name: 'Select all that are shown' }).check()
  await page.getByText('3 selected').waitFor()
  await pictures(page, 'selection')
  await isAccessible(page, 'a selection of executions')
  await page.getByRole('button', { name: 'Retry…' }).click()
  await page.getByText('Of the 3 selected, 3 can be retried.').waitFor()
  await pictures(page, 'retry-many')
  await isAccessible(page, 'the dialog to retry many')
  await page.getByRole('button', { name: 'Retry 3' }).click()
  await page.getByText('3 executions retried.').waitFor()
  await page.goto(`${origin}/executions?status=failed`)
  await page
    .getByText(/retried 1×/)
    .nth(2)
    .waitFor()
}

async function pausesAndResumes(page) {
  await page.goto(`${origin}/pipelines`)
  await page.getByRole('button', { name: 'More about Nightly report' }).click()
  await page.getByRole('menuitem', { name: 'Pause' }).click()
  await page.getByText('Nightly report is paused.').waitFor()
  await page.getByText('Paused', { exact: true }).waitFor()
  await pictures(page, 'pipelines')
  await isAccessible(page, 'pipelines, one of them paused')

  await page.goto(`${origin}/pipelines/nightly`)
  await page.getByText(`Paused by ${EMAIL}`).waitFor()
  await page.getByRole('banner').getByRole('button', { name: 'Run', exact: true }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Run', exact: true }).click()
  await page.waitForURL(/\/executions\//)
  await page.getByText('the pipeline is paused').first().waitFor()
  await page.goBack()
  const reason = page.getByRole('table').getByText('the pipeline is paused')
  await reason.filter({ visible: true }).waitFor()
  await pictures(page, 'paused-pipeline')
  await isAccessible(page, 'a paused pipeline')
  await page.getByRole('button', { name: 'Resume' }).click()
  await page.getByText('Succeeded', { exact: true }).first().waitFor()
}

async function decides(page) {
  await page.goto(origin)
  await page.getByRole('region', { name: 'Waiting for you' }).waitFor()
  await pictures(page, 'dashboard')
  await isAccessible(page, 'the dashboard with a question')
  await page.getByRole('link', { name: 'Approvals 2 waiting for you' }).click()
  await page.getByText('Pay 48,210 € to 7 suppliers?').first().waitFor()
  await pictures(page, 'approvals')
  await isAccessible(page, 'the approvals')

  const first = page.getByRole('region', { name: /^Pay suppliers #1/ })
  await first.getByRole('button', { name: 'Approve' }).click()
  await first.getByText('Account is needed.').waitFor()
  await first.getByLabel('Account').fill('DE02 1203 0000 0000 2020 51')
  await first.getByRole('button', { name: 'Approve' }).click()
  await first.waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'Reject' }).click()
  await page.getByText('Nothing waits for you').waitFor()
  await page.getByRole('link', { name: 'Approvals', exact: true }).waitFor()
}

async function changesPool(page) {
  await page.goto(`${origin}/settings`)
  await page.getByText('not defined: its stages share one slot').waitFor()
  await pictures(page, 'pools')
  await isAccessible(page, 'the pools')
  await page.getByRole('button', { name: 'Define licences' }).click()
  await page.getByLabel('Slots').fill('2')
  await isAccessible(page, 'the dialog of a pool')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('Pool licences has 2 slots.').waitFor()
  await page.getByRole('button', { name: 'Change licences' }).waitFor()
}

async function deletesPipeline(page) {
  await page.goto(`${origin}/pipelines/licensed`)
  await page.getByRole('button', { name: 'More about Licensed' }).click()
  await page.getByRole('menuitem', { name: 'Delete…' }).click()
  await page.getByText(/^2 executions are under way/).waitFor()
  await pictures(page, 'delete')
  await isAccessible(page, 'the dialog to delete a pipeline')
  await page.getByRole('button', { name: 'Cancel all 2' }).click()
  await page.getByText('No execution of it is under way.').waitFor()
  await page.getByRole('button', { name: 'Delete the pipeline' }).click()
  await page.waitForURL((url) => url.pathname === '/pipelines')
}

async function drains(page) {
  await page.goto(`${origin}/settings/server`)
  await page.getByRole('button', { name: 'Drain…' }).click()
  await pictures(page, 'drain')
  await isAccessible(page, 'the dialog to drain the server')
  await page.getByRole('button', { name: 'Drain the server' }).click()
  await page.getByText('Drained', { exact: true }).waitFor()
  await page.getByText(/^The server is draining/).waitFor()
  await pictures(page, 'drained')
  await isAccessible(page, 'a drained server')
}
