// Maintenance is planned, ended early and deleted: needs a server at SERVER with the account below and a pipeline named
// By hand.
import assert from 'node:assert/strict'
import { inBrowser, isAccessible, pictures, signIn } from './browser.mjs'

const { SERVER: origin, EMAIL, PASSWORD } = process.env
assert(origin && EMAIL && PASSWORD, 'Set SERVER, EMAIL and PASSWORD.')

const DAY_MS = 86_400_000
const say = (page, text) => page.getByText(text).filter({ visible: true }).first().waitFor()
const row = (page, text) => page.getByRole('row').filter({ hasText: text })

await inBrowser(async (page) => {
  await signIn(page, origin, EMAIL, PASSWORD)
  await page.goto(`${origin}/settings/maintenance`)
  await say(page, 'No maintenance is planned')
  await pictures(page, 'no-maintenance')
  await isAccessible(page, 'no maintenance')
  await plans(page)
  await endsAndDeletes(page)
})

async function plans(page) {
  await plan(page, { reason: 'The warehouse is moved.', days: 0, pictured: true })
  await say(page, 'Maintenance has begun.')
  await plan(page, { reason: 'Yearly accounts', days: 3, pipeline: 'By hand' })
  await say(page, 'Maintenance is planned.')
  await plan(page, { reason: 'The network was down.', days: -9 })
  await say(page, 'That time is left out from now on.')
  assert.match(await row(page, 'The warehouse').innerText(), /^Now/)
  assert.match(await row(page, 'Yearly').innerText(), /^To come/)
  assert.match(await row(page, 'The network').innerText(), /^Over/)
  await pictures(page, 'maintenance')
  await isAccessible(page, 'times of maintenance')
}

async function plan(page, { reason, days, pipeline, pictured }) {
  await page.getByRole('button', { name: 'Plan maintenance' }).first().click()
  const dialog = page.getByRole('dialog', { name: 'Plan maintenance' })
  if (pipeline) await dialog.getByLabel('Pipeline').selectOption(pipeline)
  for (const label of ['From', 'To']) {
    const field = dialog.getByLabel(label)
    const offset = new Date().getTimezoneOffset() * 60_000
    const moment = Date.parse(`${await field.inputValue()}Z`) + days * DAY_MS
    assert(Math.abs(moment + offset - Date.now()) < (Math.abs(days) + 1) * DAY_MS)
    await field.fill(new Date(moment).toISOString().slice(0, 16))
  }
  await dialog.getByLabel('Reason').fill(reason)
  if (pictured) {
    await pictures(page, 'plan-maintenance')
    await isAccessible(page, 'planning maintenance')
  }
  await dialog.getByRole('button', { name: 'Plan it' }).click()
  await dialog.waitFor({ state: 'hidden' })
}

async function endsAndDeletes(page) {
  await row(page, 'The warehouse').getByRole('button', { name: 'End now' }).click()
  await page.getByRole('button', { name: 'End it now' }).click()
  await say(page, 'The maintenance is over.')
  await row(page, 'The warehouse').getByText('Over').waitFor()
  await row(page, 'Yearly').getByRole('button', { name: 'Delete' }).click()
  await say(page, 'What runs then raises insights as at any other time.')
  await pictures(page, 'delete-maintenance')
  await page.getByRole('button', { name: 'Delete it' }).click()
  await row(page, 'Yearly').waitFor({ state: 'detached' })
}
