import { screen, waitFor } from '@testing-library/react'
import { HttpResponse, http } from 'msw'
import { expect, it } from 'vitest'
import { answer, refuse } from '@/test/api'
import { tokenResponse } from '@/test/factories'
import { renderApp } from '@/test/render'
import { server } from '@/test/server'

const noSession = refuse('POST /api/auth/refresh', 401)

it('asks to sign in and comes back to the same address', async () => {
  server.use(
    noSession,
    answer('GET /api/auth/setup', { needed: false }),
    answer('GET /api/executions', []),
    answer('GET /api/pipelines', []),
    http.post('*/api/auth/login', async ({ request }) => {
      const form = new URLSearchParams(await request.text())
      return form.get('username') === 'ada@example.com' && form.get('password') === 'right'
        ? HttpResponse.json(tokenResponse())
        : HttpResponse.json({ detail: 'The password is wrong.', code: 'wrong' }, { status: 401 })
    }),
  )
  const { user, location } = renderApp('/executions?status=failed', { anonymous: true })
  await user.type(await screen.findByLabelText('Email'), 'ada@example.com')
  await user.type(screen.getByLabelText('Password'), 'wrong')
  await user.click(screen.getByRole('button', { name: 'Sign in' }))
  expect(await screen.findByRole('alert')).toHaveTextContent('The password is wrong.')
  expect(screen.getByLabelText('Password')).toHaveFocus()

  await user.clear(screen.getByLabelText('Password'))
  await user.type(screen.getByLabelText('Password'), 'right')
  await user.click(screen.getByRole('button', { name: 'Sign in' }))
  expect(await screen.findByRole('heading', { name: 'Executions' })).toBeVisible()
  expect(location()).toBe('/executions?status=failed')
})

it('says what is missing instead of sending an empty form', async () => {
  server.use(answer('GET /api/auth/setup', { needed: true }))
  const { user } = renderApp('/login', { anonymous: true })
  await user.click(await screen.findByRole('button', { name: 'Sign in' }))
  expect(await screen.findByLabelText('Email')).toHaveAccessibleDescription('Enter your email.')
  expect(await screen.findByText(/There is no account yet/)).toBeVisible()
})

it('makes the first account with the one-time link', async () => {
  let sent: unknown
  server.use(
    answer('GET /api/auth/setup', { needed: true }),
    http.post('*/api/auth/setup', async ({ request }) => {
      sent = await request.json()
      return HttpResponse.json(tokenResponse(), { status: 201 })
    }),
    refuse('GET /api/pipelines', 503),
    refuse('GET /api/executions', 503),
    refuse('GET /api/metrics', 503),
    refuse('GET /api/metrics/history', 503),
  )
  const { user, location } = renderApp('/setup#token=once', { anonymous: true })
  await user.type(await screen.findByLabelText('Email'), 'ada@example.com')
  await user.type(screen.getByLabelText('Password'), 'too short')
  await user.click(screen.getByRole('button', { name: 'Create the account' }))
  expect(await screen.findByText('The password needs at least 10 characters.')).toBeVisible()
  await user.type(screen.getByLabelText('Password'), ', now longer')
  await user.click(screen.getByRole('button', { name: 'Create the account' }))
  await waitFor(() => expect(location()).toBe('/'))
  expect(sent).toEqual({
    token: 'once',
    email: 'ada@example.com',
    password: 'too short, now longer',
  })
})

it('explains a setup page without a link, and one that is no longer needed', async () => {
  server.use(answer('GET /api/auth/setup', { needed: true }))
  renderApp('/setup', { anonymous: true })
  expect(await screen.findByRole('heading', { name: 'Open the one-time link' })).toBeVisible()

  server.use(answer('GET /api/auth/setup', { needed: false }))
  renderApp('/setup#token=once', { anonymous: true })
  expect(await screen.findByRole('heading', { name: 'Already set up' })).toBeVisible()
})

it('says what is missing at an unknown address and offers two ways out', async () => {
  const { location } = renderApp('/no/such/page')
  expect(await screen.findByText('There is no such page')).toBeVisible()
  expect(screen.getByText(/\/no\/such\/page/)).toBeVisible()
  const content = screen.getByRole('main')
  expect(content.querySelectorAll('a')).toHaveLength(2)
  expect(location()).toBe('/no/such/page')
})
