// A change is tried as a draft before it runs: needs a server with the account below and a pipeline `orders` at version 1,
// whose text has `name:` and `needs: [load]`. SERVER is its address.
import assert from 'node:assert/strict'
import { inBrowser, isAccessible, pictures, signIn } from './browser.mjs'

const { SERVER: origin, EMAIL, PASSWORD } = process.env
assert(origin && EMAIL && PASSWORD, 'Set SERVER, EMAIL and PASSWORD.')

const say = (page, text) => page.getByText(text).first().waitFor()

async function draft(page, name) {
  await page.goto(`${origin}/pipelines/orders?tab=definition`)
  await page.getByRole('button', { name: 'Edit' }).click()
  const editor = page.getByRole('textbox', { name: /^Change of version/ })
  const text = await editor.inputValue()
  await editor.fill(
    text.replace(/^name: .*$/m, `name: ${name}`).replace('needs: [load]', 'needs: []'),
  )
  return page.getByRole('button', { name: 'Save as draft' })
}

await inBrowser(async (page) => {
  await signIn(page, origin, EMAIL, PASSWORD)
  const save = await draft(page, 'Orders, both at once')
  await say(page, 'Valid, 3 stages')
  await pictures(page, 'editor')
  await isAccessible(page, 'the editor')
  await save.click()
  await page.waitForURL(/version=2$/)
  await say(page, 'Against version 1, which runs now: it changes rates and name')
  await pictures(page, 'draft')
  await isAccessible(page, 'a draft')

  await page.getByRole('button', { name: 'Run draft' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Run' }).click()
  await page.waitForURL(/\/executions\//)
  await page.getByText('v2').first().waitFor()
  await page.goBack()

  await page.getByRole('button', { name: 'Publish…' }).click()
  await page.getByLabel(/^Note/).fill('nothing needs the rates')
  await pictures(page, 'publish')
  await isAccessible(page, 'the question before a draft is published')
  await page.getByRole('button', { name: 'Publish it' }).click()
  await say(page, 'Version 2 runs from now on.')
  await page.getByRole('button', { name: /^Version 2.*runs now/ }).waitFor()
  await page.getByRole('heading', { name: 'Orders, both at once' }).waitFor()

  await (await draft(page, 'Orders, once more')).click()
  await page.waitForURL(/version=3$/)
  await page.evaluate(async () => {
    // As another person would, from elsewhere: the page hears of it by itself.
    const token = await (await fetch('/api/auth/refresh', { method: 'POST' })).json()
    const headers = { authorization: `Bearer ${token.access_token}` }
    const { source } = await (await fetch('/api/pipelines/orders', { headers })).json()
    const body = source.replace(/^name: .*$/m, 'name: Orders by Bob')
    const yaml = { ...headers, 'content-type': 'application/yaml' }
    await fetch('/api/pipelines/orders', { method: 'PUT', headers: yaml, body })
  })
  await say(page, 'It was made from version 2, and version 4 was published since')
  await pictures(page, 'outdated')
  await isAccessible(page, 'a draft that is outdated')
  await page.getByRole('button', { name: 'Publish…' }).click()
  await page.getByRole('button', { name: 'Publish over version 4' }).waitFor()
  await pictures(page, 'publish-outdated')
  await page.getByRole('button', { name: 'Keep as it is' }).click()
  await page.getByRole('button', { name: 'Discard…' }).click()
  await page.getByRole('button', { name: 'Discard it' }).click()
  await say(page, 'Draft 3 is discarded.')
  await page.waitForURL(/version=4$/)
  await page.getByRole('button', { name: /^Version 1/ }).click()
  await page.getByRole('button', { name: 'Restore as draft' }).waitFor()
  await pictures(page, 'earlier')
  await isAccessible(page, 'an earlier version')
})
