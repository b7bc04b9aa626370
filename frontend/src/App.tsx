import { QueryClientProvider } from '@tanstack/react-query'
import { useState } from 'react'
import { createBrowserRouter } from 'react-router'
import { RouterProvider } from 'react-router/dom'
import { createQueryClient } from '@/lib/query-client'
import { routes } from '@/routes'
import { useSession } from '@/store/session'

const queryClient = createQueryClient()

// The next person at this browser must not see what the last one loaded.
useSession.subscribe((session) => {
  if (session.status === 'anonymous') queryClient.clear()
})

export function App() {
  const [router] = useState(() => createBrowserRouter(routes))
  return (
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  )
}
