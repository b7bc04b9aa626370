// An administrator switches the assistant on for a project, looks at what would be sent, asks why an execution failed, and
// lets it draft a pipeline. Needs a server with the account below that asks a stand-in, and an execution of the project
// sales that failed: EXECUTION is its address.
import assert from 'node:assert/strict'
import { inBrowser, isAccessible, pictures, signIn } from './browser.mjs'

const { EXECUTION: address, EMAIL, PASSWORD } = process.env
assert(address && EMAIL && PASSWORD, 'Set EXECUTION, EMAIL and PASSWORD.')
const { origin } = new URL(address)

await inBrowser(async (page) => {
  await signIn(page, origin, EMAIL, PASSWORD)
  await page.goto(address)
  await page.getByRole('heading', { name: /Stage load/ }).waitFor()
  await page.getByRole('region', { name: /ikely cause/ }).waitFor()
  assert.equal(await page.getByRole('button', { name: 'Explain this failure' }).count(), 0)

  await page.goto(`${origin}/settings/learning`)
  await page.getByRole('switch', { name: 'Assistant for sales' }).click()
  await page.getByRole('dialog').waitFor()
  await pictures(page, 'switching')
  await isAccessible(page, 'the question before the assistant is switched on')
  await page.getByRole('button', { name: 'Switch it on' }).click()
  await page.getByRole('switch', { name: 'Assistant for sales', checked: true }).waitFor()
  await page.getByRole('switch', { name: 'Assistant for default' }).click()
  await page.getByRole('button', { name: 'Switch it on' }).click()
  await page.getByRole('switch', { name: 'Assistant for default', checked: true }).waitFor()
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await pictures(page, 'projects')
  await isAccessible(page, 'the projects')

  await page.goto(address)
  await page.getByText('What is sent').click()
  await page.getByText(/token=REDACTED_/).waitFor()
  await pictures(page, 'sent')
  await isAccessible(page, 'what is sent')
  await page.getByRole('button', { name: 'Explain this failure' }).click()
  await page.getByText(/<img src=x/).waitFor()
  await pictures(page, 'explained')
  await isAccessible(page, 'an explained failure')

  await page.goto(`${origin}/pipelines/new`)
  await page.getByLabel('What should the pipeline do?').fill('Something every night.')
  await page.getByRole('button', { name: 'Propose' }).click()
  await page.getByText('Proposed, and checked: it is valid.').waitFor()
  await pictures(page, 'drafted')
  await isAccessible(page, 'a drafted pipeline')
  await page.getByRole('button', { name: 'Put it into the editor' }).click()
  await page.getByText('Valid, 1 stage').waitFor()
  await page.getByRole('button', { name: 'Create pipeline' }).click()
  await page.waitForURL((url) => url.pathname === '/pipelines/nightly')
})
