// Somebody looks at an execution while its server is killed and started again: the page goes on by itself, to the end.
// EXECUTION is the address of one whose stage `work` runs, SERVER_PID the process to kill; somebody else starts it again.
import assert from 'node:assert/strict'
import { inBrowser, pictures, signIn } from './browser.mjs'

const { EXECUTION: address, EMAIL, PASSWORD, SERVER_PID: server } = process.env
assert(address && EMAIL && PASSWORD && server, 'Set EXECUTION, EMAIL, PASSWORD and SERVER_PID.')
const AWAY = /ERR_(CONNECTION|EMPTY_RESPONSE|CONTENT_LENGTH|INCOMPLETE)|WebSocket connection/

await inBrowser(
  async (page) => {
    await signIn(page, new URL(address).origin, EMAIL, PASSWORD)
    await page.goto(`${address}?stage=work`)
    await page.getByText('Running', { exact: true }).first().waitFor()
    process.kill(Number(server), 'SIGKILL')

    page.setDefaultTimeout(120_000)
    await page.getByText('restarted after the server stopped (attempt 2)').first().waitFor()
    await page.getByText('Succeeded', { exact: true }).first().waitFor()
    await page.getByText('2 succeeded').waitFor()
    await pictures(page, 'restarted')
  },
  { expected: AWAY },
)
