// Who works on a database: needs two servers on one, with the account below, where something runs. SERVER is the address
// of one; the other one is drained.
import assert from 'node:assert/strict'
import { inBrowser, isAccessible, pictures, signIn } from './browser.mjs'

const { SERVER: origin, EMAIL, PASSWORD } = process.env
assert(origin && EMAIL && PASSWORD, 'Set SERVER, EMAIL and PASSWORD.')

await inBrowser(async (page) => {
  await signIn(page, origin, EMAIL, PASSWORD)
  await page.goto(`${origin}/settings/workers`)
  await page.getByText(/^2 online, /).waitFor()
  await page
    .getByRole('link', { name: /^Long work #/ })
    .first()
    .waitFor()
  await pictures(page, 'workers')
  await isAccessible(page, 'workers')

  const other = page.getByRole('rowgroup').filter({ hasNotText: 'this one' })
  await other.getByRole('button', { name: /^Drain…/ }).click()
  await page.getByRole('dialog').waitFor()
  await pictures(page, 'workers-drain')
  await isAccessible(page, 'the question before a worker is drained')
  await page.getByRole('dialog').getByRole('button', { name: 'Drain the worker' }).click()
  await page.getByText('2 online (1 stopping), ').waitFor()
  await pictures(page, 'workers-draining')
  await isAccessible(page, 'a worker that drains')
})
