import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { render } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { createMemoryRouter } from 'react-router'
import { RouterProvider } from 'react-router/dom'
import { routes } from '@/routes'
import { signedIn } from '@/store/session'
import { tokenResponse } from '@/test/factories'

type Options = { role?: Parameters<typeof tokenResponse>[0]; anonymous?: boolean }

/** The whole dashboard at an address; somebody is signed in unless `anonymous`. */
export function renderApp(address: string, { role = 'admin', anonymous = false }: Options = {}) {
  if (!anonymous) {
    const { access_token, user } = tokenResponse(role)
    signedIn(access_token, user)
  }
  const client = new QueryClient({
    defaultOptions: { queries: { retry: false, staleTime: 30_000 } },
  })
  const router = createMemoryRouter(routes, { initialEntries: [address] })
  render(
    <QueryClientProvider client={client}>
      <RouterProvider router={router} />
    </QueryClientProvider>,
  )
  const location = () => router.state.location.pathname + router.state.location.search
  return { user: userEvent.setup(), router, location }
}
