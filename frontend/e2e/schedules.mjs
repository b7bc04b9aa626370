// A schedule is watched, paused and resumed: needs a server at SERVER with the account below and the pipelines that
// tests/system/test_browser.py makes, of which `heartbeat` starts each second.
import assert from 'node:assert/strict'
import { inBrowser, isAccessible, pictures, signIn } from './browser.mjs'

const { SERVER: origin, EMAIL, PASSWORD } = process.env
assert(origin && EMAIL && PASSWORD, 'Set SERVER, EMAIL and PASSWORD.')

const say = (page, text) => page.getByText(text).filter({ visible: true }).first().waitFor()
const history = (page) => page.getByRole('table', { name: 'History of each_second' })
const execution = (page, number) =>
  history(page)
    .getByRole('link', { name: `#${number}`, exact: true })
    .filter({ visible: true })

/** The number of the execution that was started last, once it is known. */
async function newest(page) {
  const link = history(page)
    .getByRole('link', { name: /^#\d+$/ })
    .filter({ visible: true })
    .first()
  return Number((await link.innerText()).slice(1))
}

await inBrowser(async (page) => {
  await signIn(page, origin, EMAIL, PASSWORD)
  await sees(page)
  await pausesAndResumes(page)
  await hearsOfOthers(page)
  await findsThemInLists(page)
  await backfills(page)
  await startsWithNone(page)
})

async function sees(page) {
  await page.goto(`${origin}/pipelines/heartbeat?tab=triggers`)
  await say(page, 'Every second')
  // Without asking anew: two more than there were.
  await execution(page, (await newest(page)) + 2).waitFor()
  await pictures(page, 'trigger')
  await isAccessible(page, 'a trigger with its history')
  await history(page)
    .getByRole('link', { name: /^#\d+$/ })
    .filter({ visible: true })
    .last()
    .click()
  await page.waitForURL(/\/executions\//)
  await page.getByRole('link', { name: 'schedule · each_second' }).waitFor()
  await isAccessible(page, 'an execution that a schedule has started')
  await page.getByRole('link', { name: 'schedule · each_second' }).click()
  await page.waitForURL(/\?tab=triggers&trigger=each_second$/)
}

async function pausesAndResumes(page) {
  await page.getByRole('button', { name: 'Pause each_second' }).click()
  await say(page, 'each_second is paused.')
  await say(page, `Paused by ${EMAIL}`)
  await pictures(page, 'paused-trigger')
  await isAccessible(page, 'a paused trigger')
  // It would have come ten times.
  await say(page, /^1\d s ago$/)
  const last = await newest(page)
  await page.getByRole('button', { name: 'Resume each_second' }).click()
  await say(page, 'each_second is resumed.')
  await execution(page, last + 1).waitFor()
  // What came in the pause.
  await history(page).getByText('Missed').filter({ visible: true }).first().waitFor()
}

async function hearsOfOthers(page) {
  await page.evaluate(async () => {
    // As another person would, from elsewhere: the page hears of it by itself.
    const token = await (await fetch('/api/auth/refresh', { method: 'POST' })).json()
    const headers = { authorization: `Bearer ${token.access_token}` }
    await fetch('/api/pipelines/heartbeat/triggers/each_second/pause', { method: 'POST', headers })
  })
  await page.getByRole('button', { name: 'Resume each_second' }).waitFor()
}

async function findsThemInLists(page) {
  await page.goto(`${origin}/pipelines`)
  await page.getByRole('row', { name: /^Heartbeat .*paused/ }).waitFor()
  await page.getByRole('row', { name: /^Yearly closing .*[12] Jan, / }).waitFor()
  await pictures(page, 'next-runs')
  await isAccessible(page, 'pipelines with their next runs')
  await page.goto(`${origin}/`)
  await page.getByRole('row', { name: /^Heartbeat .*paused/ }).waitFor()
  await isAccessible(page, 'the dashboard with next runs')
}

async function backfills(page) {
  await page.goto(`${origin}/pipelines/yearly_closing?tab=triggers&trigger=yearly`)
  await say(page, 'It ended at 2025-12-31.')
  await page.getByRole('button', { name: 'Backfill yearly' }).click()
  await say(page, 'No instant of the trigger lies between them.')
  await page.getByLabel('From').fill('2023-12-31T00:00')
  await page.getByLabel('To').fill('2026-01-03T00:00')
  await page.getByRole('button', { name: 'Start 3 executions' }).waitFor()
  await say(page, 'lets 2 executions run at once; the others wait.')
  await pictures(page, 'backfill')
  await isAccessible(page, 'a backfill')
  await page.getByRole('button', { name: 'Start 3 executions' }).click()
  await say(page, '3 executions are started.')
  // The page hears of them by itself.
  const backfilled = page.getByRole('table', { name: 'History of yearly' })
  await backfilled.getByRole('row', { name: /2024.*Started.*#1.*Succeeded/ }).waitFor()
  await backfilled.getByRole('row', { name: /Started.*#3.*Succeeded/ }).waitFor()
  await pictures(page, 'backfilled')
  await isAccessible(page, 'a trigger that was backfilled, and one that has ended')
}

async function startsWithNone(page) {
  await page.goto(`${origin}/pipelines/by_hand?tab=triggers`)
  await say(page, 'Nothing starts this pipeline by itself')
  await pictures(page, 'no-trigger')
  await isAccessible(page, 'a pipeline without triggers')
  await page.getByRole('link', { name: 'Open the definition' }).click()
  await page.getByRole('button', { name: 'Edit' }).waitFor()
}
