# GitLab's OAuth library in GitLab's configuration, and as much of its API as linking asks for.
#
# There is no column `previous_refresh_token`, so a refresh ends the old pair at once. PKCE, revocation and token/info are
# as the library has them. It lives below /gitlab, as a self-managed GitLab may. The one person is signed in and agrees.
require "action_controller/railtie"
require "active_record/railtie"
require "doorkeeper"

# A Rails application in one file.
class Forge < Rails::Application
  config.eager_load = false
  config.secret_key_base = "only for tests " * 4
  config.logger = Logger.new($stdout)
  config.log_level = :warn
end

PERSON = Struct.new(:id).new(7)
# Seconds that the next access tokens live; 7200 are GitLab's.
LIFETIME = Struct.new(:seconds).new(7200)
# Calls of the token and revocation endpoints, in order: `refresh_token 200`, `revoke 200`.
CALLS = Queue.new

Doorkeeper.configure do
  orm :active_record
  resource_owner_authenticator { PERSON }
  skip_authorization { true }
  force_ssl_in_redirect_uri false
  custom_access_token_expires_in { |_| LIFETIME.seconds }
  use_refresh_token
  default_scopes :api
  optional_scopes :read_user, :read_api, :read_repository, :write_repository
  grant_flows %w[authorization_code]
end

# What a client calls, as the tests count it.
class Counted
  def initialize(app)
    @app = app
  end

  def call(env)
    request = Rack::Request.new(env)
    answer = @app.call(env)
    name = request.path.delete_prefix("/gitlab/oauth/")
    CALLS << "#{request.params["grant_type"] || name} #{answer[0]}" if request.post? && %w[token revoke].include?(name)
    answer
  end
end

# GitLab's API, as far as a link asks.
class ApiController < ActionController::API
  include Doorkeeper::Rails::Helpers
  before_action(only: :user) { doorkeeper_authorize! :api, :read_api, :read_user }

  def user
    render json: { id: PERSON.id, username: "octo", name: "Octo", state: "active", bot: false }
  end

  def stranger
    response.set_header("x-gitlab-meta", %({"correlation_id":"1","version":"1"}))
    render json: { message: "401 Unauthorized" }, status: 401
  end
end

# For the tests alone.
class ControlController < ActionController::API
  def application
    made = Doorkeeper::Application.create!(name: "Bindery", redirect_uri: params[:redirect_uri])
    render json: { id: made.uid, secret: made.secret }
  end

  def lifetime
    LIFETIME.seconds = params[:seconds].to_i
    head 204
  end

  def calls
    render json: Array.new(CALLS.size) { CALLS.pop }.each { |call| CALLS << call }
  end
end

Forge.initialize!
Forge.routes.draw do
  scope("gitlab") { use_doorkeeper { skip_controllers :applications, :authorized_applications } }
  get "gitlab/api/v4/user" => "api#user"
  get "gitlab/api/v4/version" => "api#stranger"
  get "gitlab/api/v4/personal_access_tokens/self" => "api#stranger"
  post "control/applications" => "control#application"
  post "control/lifetime" => "control#lifetime"
  get "control/calls" => "control#calls"
end

ActiveRecord::Schema.verbose = false
ActiveRecord::Schema.define do
  create_table :oauth_applications do |t|
    t.string :name, :uid, :secret, null: false
    t.text :redirect_uri, null: false
    t.string :scopes, null: false, default: ""
    t.boolean :confidential, null: false, default: true
    t.timestamps
  end
  create_table :oauth_access_grants do |t|
    t.integer :resource_owner_id, :application_id, :expires_in, null: false
    t.string :token, null: false, index: { unique: true }
    t.text :redirect_uri, null: false
    t.string :scopes, null: false, default: ""
    t.string :code_challenge, :code_challenge_method
    t.datetime :created_at, null: false
    t.datetime :revoked_at
  end
  create_table :oauth_access_tokens do |t|
    t.integer :resource_owner_id, :application_id, :expires_in
    t.string :token, null: false, index: { unique: true }
    t.string :refresh_token, index: { unique: true }
    t.string :scopes
    t.datetime :created_at, null: false
    t.datetime :revoked_at
  end
end

use Counted
run Forge
