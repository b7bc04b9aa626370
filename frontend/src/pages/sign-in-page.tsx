import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearchParams } from 'react-router'
import { setupStateQuery } from '@/features/auth/api'
import { EntryCard } from '@/features/auth/entry-card'
import { SignInForm } from '@/features/auth/sign-in-form'
import { usePageTitle } from '@/hooks/use-page-title'
import { safeNext, startSession } from '@/lib/session'

export function SignInPage() {
  usePageTitle('Sign in')
  const navigate = useNavigate()
  const [search] = useSearchParams()
  const setup = useQuery(setupStateQuery)
  return (
    <EntryCard
      title="Sign in"
      intro={
        setup.data?.needed &&
        'There is no account yet. Open the one-time link that was printed where the server was started.'
      }
    >
      <SignInForm
        onSignedIn={(answer) => {
          startSession(answer)
          void navigate(safeNext(search.get('next')), { replace: true })
        }}
      />
    </EntryCard>
  )
}
